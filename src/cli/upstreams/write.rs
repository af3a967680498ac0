//! Writes upstreams and their secrets: all of them or none. The file refers to the names under
//! which the secrets are stored.

use super::{draft::Draft, file::Change, keeper::Keeper};
use crate::{app::Failure, config::Config};

/// Stores the secrets and writes the upstreams; returns the file with what was written.
pub(super) fn write(
    config: &Config,
    drafts: &[&Draft],
    keeper: &mut Keeper,
) -> Result<Change, Failure> {
    keeper.store()?;
    let written = write_file(config, drafts, keeper);
    if written.is_err() {
        keeper.undo();
    }
    written
}

/// The file may have changed since it was last read, and so may the names of the secrets.
fn write_file(config: &Config, drafts: &[&Draft], keeper: &mut Keeper) -> Result<Change, Failure> {
    let mut change = Change::alone(config)?;
    for draft in drafts {
        change = change.with(&draft.name, draft.table(keeper)?)?;
    }
    change.write()?;
    Ok(change)
}
