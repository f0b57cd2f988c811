//! What a gateway call asks for.

use serde_json::Value;

use super::{refusal::Refusal, slot::Slot};

/// The most pictures one record may have.
const INDEX_MAX: i64 = 10;

/// The envelope of a request, read but not judged; `Null` when it is no JSON.
pub(super) struct Call {
    pub(super) id: String,
    envelope: Value,
}

impl Call {
    pub(super) fn read(body: &[u8]) -> Self {
        let envelope: Value = serde_json::from_slice(body).unwrap_or_default();
        Self { id: envelope["id"].as_str().unwrap_or_default().to_owned(), envelope }
    }

    fn param(&self, name: &str) -> &Value {
        &self.envelope["params"][name]
    }

    /// `TYPE/id/index` as they came, right or wrong: what a fault's `matches` looks at.
    pub(super) fn label(&self) -> String {
        let shown = ["type", "id", "index"].map(|name| match self.param(name) {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        shown.join("/")
    }

    pub(super) fn check(&self, app_id: &str) -> Result<Slot, Refusal> {
        let envelope = &self.envelope;
        let version = (envelope["version"].as_str(), envelope["request"]["apiVer"].as_str());
        if version != (Some("1.0"), Some("1.0.0")) || self.id.is_empty() || !envelope["params"].is_object() {
            return Err(Refusal::format());
        }
        if self.param("appId").as_str() != Some(app_id) {
            return Err(forbidden());
        }
        self.slot()
    }

    pub(super) fn slot(&self) -> Result<Slot, Refusal> {
        let whole = |name| self.param(name).as_i64().ok_or_else(bad_parameter);
        let one_of = |name, allowed: &[&str]| {
            let text = self.param(name).as_str().filter(|text| allowed.contains(text));
            text.map(str::to_owned).ok_or_else(bad_parameter)
        };
        let index = whole("index")?;
        if !(1..=INDEX_MAX).contains(&index) {
            return Err(bad_parameter());
        }
        Ok(Slot {
            kind: one_of("type", &["OWNBRAND", "OTHERBRAND"])?,
            id: whole("id")?,
            index,
            suffix: one_of("suffix", &["jpg", "png", "gif"])?,
        })
    }
}

fn forbidden() -> Refusal {
    Refusal::Envelope {
        status: 200, code: 403, message: "request forbidden.", localized: Some("请求被禁止")
    }
}

fn bad_parameter() -> Refusal {
    Refusal::Envelope {
        status: 200,
        code: 460,
        message: "request parameter error.",
        localized: Some("请求参数错误"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn code(params: &Value) -> i64 {
        let envelope = json!({"id": "1", "version": "1.0", "request": {"apiVer": "1.0.0"}, "params": params});
        match Call::read(envelope.to_string().as_bytes()).check("app") {
            Ok(_) => 200,
            Err(Refusal::Envelope { code, .. }) => code,
            Err(Refusal::Ca { .. }) => panic!("parameters are not the gateway's business"),
        }
    }

    #[test]
    fn parameters_are_judged_one_by_one() {
        let good = json!({"appId": "app", "index": 1, "id": 1001, "suffix": "jpg", "type": "OWNBRAND"});
        assert_eq!(code(&good), 200);
        for (name, value, expected) in [
            ("appId", json!("other"), 403),
            ("appId", Value::Null, 403),
            ("index", json!(0), 460),
            ("index", json!(10), 200),
            ("index", json!(11), 460),
            ("index", json!("1"), 460),
            ("index", json!(1.0), 460),
            ("id", json!("1001"), 460),
            ("id", Value::Null, 460),
            ("suffix", json!("jpeg"), 460),
            ("type", json!("ownbrand"), 460),
            ("type", json!("OTHERBRAND"), 200),
        ] {
            let mut params = good.clone();
            params[name] = value.clone();
            assert_eq!(code(&params), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_wrong_envelope_is_a_format_error() {
        for bad in ["", "[]", "{}", r#"{"id":"1","version":"2.0","request":{"apiVer":"1.0.0"},"params":{}}"#]
        {
            let refusal = Call::read(bad.as_bytes()).check("app");
            assert!(matches!(refusal, Err(Refusal::Envelope { status: 400, code: 400, .. })), "{bad}");
        }
    }

    #[test]
    fn the_label_shows_what_came() {
        let call = Call::read(br#"{"params":{"type":"OWNBRAND","id":1001,"index":"x"}}"#);
        assert_eq!(call.label(), "OWNBRAND/1001/x");
    }
}
