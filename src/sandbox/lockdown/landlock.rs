//! Rules of landlock: the files that a process, and everything it starts, may still open. They can
//! never be lifted.

use std::{fs::File, io, os::fd::AsFd, path::Path};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::error::{LockdownError, step};

/// Readable paths: shared libraries and the source of random numbers. Missing ones are skipped.
const READABLE: &[&str] = &[
    "/dev/urandom",
    "/etc/ld.so.cache",
    "/lib/aarch64-linux-gnu",
    "/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
];
/// The dynamic linker, which the kernel executes in place of the program.
const LINKERS: &[&str] = &["/lib/ld-linux-aarch64.so.1", "/lib64/ld-linux-x86-64.so.2"];

/// Creates rules that allow only to execute and read `program` and to read the libraries that it is
/// linked with.
pub(super) fn for_program(program: &File) -> Result<RulesetCreated, LockdownError> {
    let execute = AccessFs::Execute | AccessFs::ReadFile;
    let mut files = rules(Scope::from_all(ABI::V6))?;
    files = step(
        "allow the program",
        files.add_rule(PathBeneath::new(program.as_fd(), execute)).map_err(io::Error::other),
    )?;
    for path in READABLE.iter().chain(LINKERS).map(Path::new).filter(|path| path.exists()) {
        let access = match path.is_dir() {
            true => AccessFs::ReadFile | AccessFs::ReadDir,
            false if LINKERS.iter().any(|linker| path == Path::new(linker)) => execute,
            false => AccessFs::ReadFile.into(),
        };
        let open = step("open the libraries", PathFd::new(path).map_err(io::Error::other))?;
        files = step(
            "allow the libraries",
            files.add_rule(PathBeneath::new(open, access)).map_err(io::Error::other),
        )?;
    }
    Ok(files)
}

/// Closes all files, ports and sockets to this process; those that are open stay open. Signals are
/// not restricted: a process must reach its child in a jail, and so must the signal that the kernel
/// sends in its name when it dies.
pub(super) fn without_files() -> Result<(), LockdownError> {
    enforce(rules(Scope::AbstractUnixSocket.into())?)
}

/// Creates a rule set that refuses all files and ports that landlock knows on this kernel, and
/// these scopes. Exceptions are added to it.
fn rules(scopes: BitFlags<Scope>) -> Result<RulesetCreated, LockdownError> {
    let created = || {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V1))?
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V5))?
            .handle_access(AccessNet::from_all(ABI::V4))?
            .scope(scopes)?
            .create()
    };
    step(
        "create landlock rules (needs Linux 5.13 or later with landlock enabled)",
        created().map_err(io::Error::other),
    )
}

/// Enforces rules. A kernel that ignores them is an error.
pub(super) fn enforce(files: RulesetCreated) -> Result<(), LockdownError> {
    let status = step("enforce landlock", files.restrict_self().map_err(io::Error::other))?;
    match status.ruleset {
        RulesetStatus::NotEnforced => {
            step("enforce landlock", Err(io::Error::from(io::ErrorKind::Unsupported)))
        }
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}
