//! A credential as a field of a body.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use url::form_urlencoded;

use super::{
    failure::ServiceFailure,
    message::{Part, ServiceBody},
};

/// The body with a field of this name and value, in the place of those that it has. A body that has
/// no fields stays as it is, and so does none.
pub(super) fn with_field(
    body: &ServiceBody,
    (name, value): (&str, &str),
) -> Result<ServiceBody, ServiceFailure> {
    Ok(match body {
        ServiceBody::Multipart(parts) => {
            let own = Part {
                name: name.to_owned(),
                file_name: None,
                content_type: None,
                bytes: value.to_owned().into(),
            };
            let others = parts.iter().filter(|part| part.name != name).cloned();
            ServiceBody::Multipart(others.chain([own]).collect())
        }
        ServiceBody::Bytes { content_type, bytes } => {
            let kind = content_type.split(';').next().unwrap_or_default().trim();
            let kind = kind.to_ascii_lowercase();
            let bytes = if kind == "application/x-www-form-urlencoded" {
                urlencoded(bytes, name, value).into()
            } else if kind == "application/json" || kind.ends_with("+json") {
                match json(bytes, name, value)? {
                    Some(json) => json.into(),
                    None => bytes.clone(),
                }
            } else {
                bytes.clone()
            };
            ServiceBody::Bytes { content_type: content_type.clone(), bytes }
        }
        ServiceBody::None => ServiceBody::None,
    })
}

/// The others stay as they are written.
fn urlencoded(form: &[u8], name: &str, value: &str) -> String {
    let form = String::from_utf8_lossy(form);
    let is_own = |pair: &&str| {
        let mut read = form_urlencoded::parse(pair.as_bytes());
        read.next().is_some_and(|(own, _)| own == name)
    };
    let own = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    let others = form.split('&').filter(|pair| !pair.is_empty() && !is_own(pair));
    others.chain([own.as_str()]).collect::<Vec<_>>().join("&")
}

/// None where it is no object.
fn json(body: &[u8], name: &str, value: &str) -> Result<Option<Vec<u8>>, ServiceFailure> {
    let Ok(mut fields) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(body) else {
        return Ok(None);
    };
    let unfit = |_| ServiceFailure::Credential("it cannot be written as JSON".to_owned());
    let value = serde_json::value::to_raw_value(value).map_err(unfit)?;
    fields.insert(name.to_owned(), value);
    serde_json::to_vec(&fields).map(Some).map_err(unfit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(kind: &str, body: &str) -> String {
        let bytes = body.to_owned().into();
        let body = ServiceBody::Bytes { content_type: kind.to_owned(), bytes };
        match with_field(&body, ("token", "a b&c")).unwrap() {
            ServiceBody::Bytes { bytes, .. } => String::from_utf8(bytes.to_vec()).unwrap(),
            _ => panic!("it is of another kind"),
        }
    }

    #[test]
    fn the_field_takes_the_place_of_one_that_is_given_and_leaves_the_others_as_they_are() {
        let form = "application/x-www-form-urlencoded";
        assert_eq!(sent(form, "room=a%2Cb,c&token=mine&token=2"), "room=a%2Cb,c&token=a+b%26c");
        assert_eq!(sent(form, ""), "token=a+b%26c");
        assert_eq!(
            sent(
                "application/json; charset=utf-8",
                r#"{"n": 12345678901234567890123, "token": 1}"#
            ),
            r#"{"n":12345678901234567890123,"token":"a b&c"}"#
        );
        assert_eq!(sent("application/merge-patch+json", "{}"), r#"{"token":"a b&c"}"#);
        // What has no fields.
        assert_eq!(sent("application/json", "[1]"), "[1]");
        assert_eq!(sent("text/plain", "token=x"), "token=x");
        let part = |name: &str| Part {
            name: name.to_owned(),
            file_name: None,
            content_type: None,
            bytes: "x".into(),
        };
        let body = ServiceBody::Multipart(vec![part("token"), part("file")]);
        let ServiceBody::Multipart(parts) = with_field(&body, ("token", "t")).unwrap() else {
            panic!("it is a form")
        };
        let parts: Vec<_> = parts.iter().map(|part| (part.name.as_str(), &*part.bytes)).collect();
        assert_eq!(parts, [("file", &b"x"[..]), ("token", b"t")]);
        assert!(matches!(with_field(&ServiceBody::None, ("a", "b")), Ok(ServiceBody::None)));
    }
}
