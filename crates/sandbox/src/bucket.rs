//! OSS: PUT of an object, and HEAD of one.

use axum::{body::Body, extract::Request, response::Response};
use http::{Method, request::Parts};
use jiff::{SignedDuration, Timestamp};

use super::{
    admission::{self, Put, SIZE_MAX},
    answer::{self, AnswerFinish, Refuse},
    connection::Hold,
    entry::Entry,
    fault::{FaultAction, Service},
    instead::instead,
    intake::{self, IntakeError, Received, Sink},
    options::Stage,
    oss_error::OssError,
    plan::Plan,
    slot::Slot,
    state::{Cloud, StoredObject, request_id},
    wire,
};

/// An error's XML names the request and the host.
struct Form<'a> {
    request_id: &'a str,
    host: &'a str,
}

impl Refuse for Form<'_> {
    fn refuse(&self, status: u16, code: &str, message: &str) -> Response {
        self.xml(&OssError::new(status, code, message))
    }
}

impl Form<'_> {
    fn xml(&self, error: &OssError) -> Response {
        answer::build(error.status, "application/xml", error.xml(self.request_id, self.host))
    }
}

/// One request while it is in hand.
struct Job<'a> {
    cloud: &'a Cloud,
    hold: &'a Hold,
    parts: &'a Parts,
    plan: &'a Plan,
    entry: Entry<'a>,
    form: Form<'a>,
    /// By OSS's clock.
    now: Timestamp,
}

pub(super) async fn handle(cloud: &Cloud, hold: &Hold, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let request_id = request_id();
    let entry = Entry::open(cloud, Service::Oss, &parts, &request_id);
    let put = Put::read(&parts, &cloud.options);
    let key = put.as_ref().map(|put| put.key.clone()).unwrap_or_default();
    let body = match cloud.options.request_hook {
        // a client that is held has sent everything; one that gave up in the middle is gone
        Some(_) => match axum::body::to_bytes(body, usize::MAX).await {
            Ok(bytes) => Body::from(bytes),
            Err(_) => std::future::pending().await,
        },
        None => body,
    };
    cloud.options.pass(Service::Oss, Stage::Arrived).await;
    let plan = cloud.plan(Service::Oss, &key);
    entry.note(|log| (log.faults, log.key) = (plan.names.clone(), put.is_ok().then_some(key)));
    tokio::time::sleep(plan.delay).await;
    let now = cloud.now().saturating_add(SignedDuration::from_secs(plan.skew)).unwrap_or(Timestamp::MAX);
    let form = Form { request_id: &request_id, host: wire::header_or_empty(&parts.headers, "host") };
    let job = Job { cloud, hold, parts: &parts, plan: &plan, entry, form, now };
    let answer = job.answer(put, body).await;
    cloud.options.pass(Service::Oss, Stage::Answering).await;
    let finish = AnswerFinish {
        date: wire::http_date(now),
        id_header: "x-oss-request-id",
        request_id: &request_id,
        hold,
    };
    finish.send(answer, &plan, entry).await
}

impl Job<'_> {
    /// Faults come after the checks, so that none of them hides a badly signed request.
    async fn answer(&self, put: Result<Put, OssError>, body: Body) -> Response {
        let admitted = put.and_then(|put| self.admit(&put).map(|slot| (put, slot)));
        let done = match (admitted, &self.plan.instead) {
            (Err(error), _) => {
                // Read all the same: a client in the middle of sending would see a reset, not the answer.
                self.discard(body).await;
                Err(error)
            }
            (Ok(_), Some(action)) => return self.fail(action, body).await,
            (Ok((put, _)), None) if self.parts.method == Method::HEAD => self.look(&put),
            (Ok((put, _)), None) if self.plan.forbid_overwrite && self.holds(&put) => {
                self.discard(body).await;
                Err(OssError::exists())
            }
            (Ok((put, slot)), None) => self.store(&put, slot, body).await,
        };
        done.unwrap_or_else(|error| {
            self.entry.outcome(error.code.clone());
            self.form.xml(&error)
        })
    }

    fn admit(&self, put: &Put) -> Result<Slot, OssError> {
        let stance = admission::Stance { now: self.now, token_over: self.plan.expired_token };
        admission::check(self.cloud, self.parts, put, stance, self.entry)
    }

    fn holds(&self, put: &Put) -> bool {
        self.cloud.lock().objects.contains_key(&put.key)
    }

    fn look(&self, put: &Put) -> Result<Response, OssError> {
        let object = self.cloud.lock().objects.get(&put.key).cloned();
        let object =
            object.ok_or_else(|| OssError::new(404, "NoSuchKey", "The specified key does not exist."))?;
        let mut answer =
            answer::build(200, object.content_type.as_deref().unwrap_or_default(), Body::empty());
        answer::set(&mut answer, "etag", &format!("\"{}\"", object.md5_hex.to_uppercase()));
        answer::set(&mut answer, "x-oss-hash-crc64ecma", &object.crc64.to_string());
        self.entry.outcome("ok");
        Ok(answer)
    }

    async fn fail(&self, action: &FaultAction, body: Body) -> Response {
        self.entry.outcome(format!("fault:{}", action.name()));
        // The body stays alive until the answer is made, or hyper would see it as given up.
        let unread = match action {
            FaultAction::EarlyAnswer { .. } | FaultAction::Reset => Some(body),
            _ => {
                self.discard(body).await;
                None
            }
        };
        let answer = match action {
            FaultAction::OssError { status, code, message } => {
                self.form.refuse(*status, code, &self.repeating(message))
            }
            _ => instead(action, self.hold, &self.form).await,
        };
        drop(unread);
        answer
    }

    /// `{signature}` in a message stands for that of the request.
    fn repeating(&self, message: &str) -> String {
        let authorization = self.parts.headers.get("authorization").and_then(|value| value.to_str().ok());
        let signed = authorization.or(self.parts.uri.query()).unwrap_or_default();
        let signature = signed.rsplit_once("ignature=").or_else(|| signed.rsplit_once(':'));
        let signature = signature.and_then(|(_, rest)| rest.split('&').next()).unwrap_or_default();
        message.replace("{signature}", signature)
    }

    async fn discard(&self, body: Body) {
        // Nothing to do about a body that breaks off: nobody is left to answer to.
        if let Ok(received) = intake::receive(body, Sink::Nowhere, SIZE_MAX, self.plan.slow_read).await {
            self.entry.note(|log| log.bytes = received.len);
        }
    }

    async fn store(&self, put: &Put, slot: Slot, body: Body) -> Result<Response, OssError> {
        let dir = self.cloud.options.dir.as_deref();
        let sink = Sink::open(dir).await.map_err(|_| OssError::internal())?;
        let received = intake::receive(body, sink, SIZE_MAX, self.plan.slow_read)
            .await
            .map_err(|error| refused(&error))?;
        self.entry.note(|log| log.bytes = received.len);
        admission::check_body(self.parts, received.len, &received.md5)?;
        let answer = self.success(&received);
        self.keep(put, slot, received).await.map_err(|_| OssError::internal())?;
        self.entry.outcome("ok");
        Ok(answer)
    }

    async fn keep(&self, put: &Put, slot: Slot, received: Received) -> std::io::Result<()> {
        let dir = self.cloud.options.dir.as_deref().unwrap_or(std::path::Path::new(""));
        let path = intake::object_path(dir, &put.bucket, &put.key);
        let object = StoredObject {
            bytes: received.sink.keep(&path).await?,
            len: received.len,
            md5_hex: wire::hex(&received.md5),
            sha256_hex: received.sha256_hex,
            crc64: received.crc64,
            content_type: wire::header(&self.parts.headers, "content-type").map(str::to_owned),
            puts: 0,
            slot,
        };
        self.cloud.lock().store(put.key.clone(), object);
        Ok(())
    }

    fn success(&self, received: &Received) -> Response {
        let md5 = if self.plan.wrong_etag { received.md5.map(|byte| !byte) } else { received.md5 };
        let crc64 = if self.plan.wrong_crc { !received.crc64 } else { received.crc64 };
        let mut answer = answer::build(200, "", Body::empty());
        answer::set(&mut answer, "etag", &format!("\"{}\"", wire::hex(&md5).to_uppercase()));
        answer::set(&mut answer, "x-oss-hash-crc64ecma", &crc64.to_string());
        answer
    }
}

fn refused(error: &IntakeError) -> OssError {
    match error {
        IntakeError::Incomplete => {
            OssError::new(400, "IncompleteBody", "The body is shorter than Content-Length says.")
        }
        IntakeError::TooLarge => OssError::too_large(),
        IntakeError::Disk => OssError::internal(),
    }
}
