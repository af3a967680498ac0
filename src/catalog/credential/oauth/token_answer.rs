//! Reads the answers of token endpoints as servers write them, and turns them into what the OAuth
//! library takes: JSON with status 200, or a refusal in JSON. Names the member that makes an answer
//! unusable, and never anything else of the body, which may hold tokens.

use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use oauth2::HttpResponse;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::base::json::repair;

/// Longest code of a refusal, in bytes; a longer one is not repeated.
const CODE_BYTES_MAX: usize = 100;
/// Codes of refusals that may pass by themselves.
const PASSING: [&str; 4] =
    ["temporarily_unavailable", "server_error", "slow_down", "rate_limit_exceeded"];

/// The answer as the library takes it.
pub(super) fn tidied(response: HttpResponse) -> Result<HttpResponse, String> {
    let status = response.status();
    let Some(members) = members(&response) else {
        let failure = match status.is_success() {
            true => "the answer of the authorization server is neither JSON nor a form".to_owned(),
            false => format!("the authorization server answered HTTP {}", status.as_u16()),
        };
        return Err(failure);
    };
    if let Some((code, description)) = refusal(&members) {
        let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if may_pass || PASSING.contains(&code.as_str()) {
            return Err(format!(
                "the authorization server answered HTTP {} with the error `{code}`",
                status.as_u16()
            ));
        }
        let refusal = json!({ "error": code, "error_description": description });
        return Ok(answer(StatusCode::BAD_REQUEST, &refusal));
    }
    if !status.is_success() {
        return Err(format!("the authorization server answered HTTP {}", status.as_u16()));
    }
    Ok(answer(StatusCode::OK, &granted(&members)?))
}

fn answer(status: StatusCode, body: &Value) -> HttpResponse {
    let mut response = HttpResponse::new(body.to_string().into_bytes());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The members of the answer. GitHub and others send a form unless they are asked otherwise.
fn members(response: &HttpResponse) -> Option<Map<String, Value>> {
    let body = response.body().trim_ascii();
    let json = match repair::repaired(body).ok()? {
        None => serde_json::from_slice(body),
        Some(repaired) => serde_json::from_str(&repaired.text),
    };
    if let Ok(members) = json {
        return Some(members);
    }
    let is_markup = body.starts_with(b"<") || body.starts_with(b"{") || body.starts_with(b"[");
    let form: Map<String, Value> = form_urlencoded::parse(body)
        .map(|(name, value)| (name.into_owned(), Value::from(value)))
        .collect();
    let is_form = form.contains_key("access_token") || form.contains_key("error");
    (is_form && !is_markup).then_some(form)
}

/// The code and the description of a refusal, whatever its status.
fn refusal(members: &Map<String, Value>) -> Option<(String, Option<&str>)> {
    let code = match members.get("error")? {
        Value::Null | Value::Bool(false) => return None,
        Value::Number(code) if code.as_i64() == Some(0) => return None,
        Value::String(code) if code.is_empty() => return None,
        Value::String(code) => code.as_str(),
        // Some nest it, as their other errors.
        Value::Object(error) => ["code", "type", "error", "message"]
            .iter()
            .find_map(|name| error.get(*name)?.as_str())
            .unwrap_or_default(),
        _ => "",
    };
    let is_code = !code.is_empty()
        && code.len() <= CODE_BYTES_MAX
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte));
    let code = if is_code { code } else { "an error without a code" };
    let description = members.get("error_description").and_then(Value::as_str);
    Some((code.to_owned(), description))
}

/// The members of a grant in the form that RFC 6749 gives them.
fn granted(members: &Map<String, Value>) -> Result<Value, String> {
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(_) => Err(format!(
            "the answer of the authorization server has a `{name}` that is not a string"
        )),
    };
    let token = text("access_token")?
        .ok_or_else(|| "the answer of the authorization server has no `access_token`".to_owned())?;
    let mut granted = json!({
        "access_token": token,
        // What is not said is the usual one.
        "token_type": text("token_type")?.unwrap_or("bearer"),
    });
    if let Some(token) = text("refresh_token")? {
        granted["refresh_token"] = token.into();
    }
    if let Some(life) = members.get("expires_in").and_then(seconds) {
        granted["expires_in"] = life.into();
    }
    if let Some(scopes) = members.get("scope").or_else(|| members.get("scopes")).and_then(scopes) {
        granted["scope"] = scopes.into();
    }
    Ok(granted)
}

/// The life of a token; none where it is not known, which 0 and less mean too.
fn seconds(life: &Value) -> Option<u64> {
    let seconds = match life {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // A cast saturates, and what is not a number is 0.
    Some(seconds as u64).filter(|seconds| *seconds > 0)
}

/// The scopes with spaces between them; some send a list, or commas.
fn scopes(scopes: &Value) -> Option<String> {
    let text = match scopes {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        _ => return None,
    };
    let words = text.split([' ', ',']).filter(|word| !word.is_empty());
    Some(words.collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
