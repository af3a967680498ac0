//! Ids by their first characters, as people type them.

use super::client::Client;
use crate::{
    app::Failure,
    base::plural::counted,
    config::Config,
    model::{ErrorCode, IdBeginning, IdKind},
};

/// Characters of a UUID.
const UUID_CHARS: usize = 36;

/// The id that is meant: the text itself if it is a whole id, or the only id on record that begins
/// so. What begins no id stays as it is, so that the server says that there is no such thing.
pub(super) async fn whole(client: &Client, kind: IdKind, text: &str) -> Result<String, Failure> {
    let Ok(beginning) = IdBeginning::of(kind, text) else { return Ok(text.to_owned()) };
    if beginning.as_str().len() == kind.prefix().len() + UUID_CHARS {
        return Ok(beginning.as_str().to_owned());
    }
    let ids = client.ids(beginning.as_str()).await?;
    match ids.as_slice() {
        [] => Ok(text.to_owned()),
        [only] => Ok(only.clone()),
        several => Err(Failure::other(format!(
            "`{text}` is ambiguous: at least {} begin with it",
            counted(several.len(), kind.noun())
        ))
        .coded("ambiguous_id")
        .hint(format!("give more digits: {}", several.join(", ")))),
    }
}

/// The failure with the place where the record was looked for, if something was not found there:
/// each configuration has a database of its own.
pub(super) fn located(failure: Failure, config: &Config) -> Failure {
    let not_found =
        [ErrorCode::TaskNotFound, ErrorCode::ApprovalNotFound, ErrorCode::ArtifactNotFound];
    if not_found.iter().all(|code| code.as_str() != failure.code) {
        return failure;
    }
    let database = config.store.path.display();
    let of = match &config.file {
        Some(file) => format!("of the configuration `{}`", file.display()),
        None => "that is used without a configuration file".to_owned(),
    };
    let place = format!(
        "Airlock looked in the database `{database}` {of}; for another database, name its \
        configuration with `--config FILE`, or run the command in its folder"
    );
    let hint =
        failure.hint.clone().map_or_else(|| place.clone(), |hint| format!("{hint}; {place}"));
    failure.hint(hint)
}
