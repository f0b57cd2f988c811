//! The answer that a fault puts in place of the right one.

use axum::response::Response;

use super::{
    answer::{Refuse, huge, raw, set},
    connection::Hold,
    fault::FaultAction,
    refusal::{ca_error, failure},
};

/// The answer that a fault puts in place of the right one.
pub(super) async fn instead(action: &FaultAction, hold: &Hold, form: &impl Refuse) -> Response {
    match action {
        FaultAction::Status { status, headers, body } => raw(*status, headers, body),
        FaultAction::Code { code, message, localized } => {
            failure(200, "", *code, message.as_deref(), localized.as_deref())
        }
        FaultAction::CaError { status, error_code, message } => ca_error(*status, error_code, message),
        FaultAction::OssError { status, code, message } => form.refuse(*status, code, message),
        FaultAction::EarlyAnswer { status, code } => closing(form.refuse(*status, code, code)),
        FaultAction::HugeBody { bytes } => huge(*bytes),
        // A task that awaits this is woken by the broken connection, or by the client that gave up.
        FaultAction::Reset => {
            hold.reset();
            std::future::pending().await
        }
        FaultAction::Hang => std::future::pending().await,
        twist => unreachable!("a plan never puts {} in place of an answer", twist.name()),
    }
}

fn closing(mut answer: Response) -> Response {
    set(&mut answer, "connection", "close");
    answer
}
