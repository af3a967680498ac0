//! Operating-system locks on the process that runs guests, as data. Workers report them, the broker
//! checks and displays them. Applies none: `lockdown` does.

use std::{collections::BTreeSet, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One lock that a process cannot undo. Displayed in this order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Lock {
    /// Landlock: of all files only the engine's executable and the C library can be read.
    Landlock,
    /// Seccomp: system calls are limited to a list without sockets and new processes.
    Seccomp,
    /// `no_new_privs`: executing a program never raises privileges.
    NoNewPrivileges,
    /// All capabilities are dropped.
    NoCapabilities,
    /// Other processes of the user cannot trace it or read its memory.
    NotDumpable,
    /// The kernel kills it when its parent dies.
    DiesWithBroker,
    /// Inherited descriptors are closed, except for the socket, the snapshot and standard error.
    NoInheritedDescriptors,
    /// Limits on memory, descriptors, file sizes (0) and core files (0).
    LimitedResources,
}

/// Level of confinement. A higher tier includes the lower ones.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LockTier {
    /// A lock of the tier `restricted` is missing.
    Open,
    /// No privileges and limited resources; files and system calls are not filtered.
    Restricted,
    /// `Restricted`, with files closed by landlock and system calls filtered by seccomp.
    Jailed,
}

/// The locks in force on one process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Locks(BTreeSet<Lock>);

const RESTRICTED: [Lock; 4] =
    [Lock::NoNewPrivileges, Lock::NoCapabilities, Lock::DiesWithBroker, Lock::LimitedResources];
const JAILED: [Lock; 2] = [Lock::Landlock, Lock::Seccomp];

impl Locks {
    /// The highest tier whose locks are all in force.
    pub fn tier(&self) -> LockTier {
        let has_all = |locks: &[Lock]| locks.iter().all(|lock| self.0.contains(lock));
        match (has_all(&RESTRICTED), has_all(&JAILED)) {
            (false, _) => LockTier::Open,
            (true, false) => LockTier::Restricted,
            (true, true) => LockTier::Jailed,
        }
    }

    /// Returns true if this lock is in force.
    pub fn contains(&self, lock: Lock) -> bool {
        self.0.contains(&lock)
    }

    /// Returns true if no lock is in force.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Lock> for Locks {
    fn from_iter<I: IntoIterator<Item = Lock>>(locks: I) -> Self {
        Self(locks.into_iter().collect())
    }
}

impl Extend<Lock> for Locks {
    fn extend<I: IntoIterator<Item = Lock>>(&mut self, locks: I) {
        self.0.extend(locks);
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Landlock => "landlock (reads its own program and the C library only)",
            Self::Seccomp => "seccomp (no sockets, no processes)",
            Self::NoNewPrivileges => "no new privileges",
            Self::NoCapabilities => "no capabilities",
            Self::NotDumpable => "not dumpable",
            Self::DiesWithBroker => "dies with its broker",
            Self::NoInheritedDescriptors => "no inherited descriptors",
            Self::LimitedResources => "limited resources",
        })
    }
}

impl fmt::Display for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, lock) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{lock}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LockTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Restricted => "restricted",
            Self::Jailed => "jailed",
        })
    }
}

#[cfg(test)]
#[path = "locks/tests.rs"]
mod tests;
