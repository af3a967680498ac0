//! Changes the configuration file as a person would: comments, order and everything else stay. A
//! change that does not load is not written.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use toml_edit::{DocumentMut, Item, Table};

use crate::{
    app::Failure,
    base::text::decoded,
    cli::screen::{dim, print},
    config::{self, Config, ProcessEnvironment, Sources},
};

/// The file with a change in it that is not written yet.
#[derive(Clone)]
pub(super) struct Change {
    path: PathBuf,
    before: String,
    document: DocumentMut,
    /// Keeps others from changing the file.
    _turn: Option<Arc<fs::File>>,
}

impl Change {
    /// The file in force; where there is none, the one in the user's configuration folder is to be
    /// made.
    pub(super) fn begin(config: &Config) -> Result<Self, Failure> {
        Self::read(place(config)?, None)
    }

    /// The same, while no other command changes the file, until this is dropped.
    pub(super) fn alone(config: &Config) -> Result<Self, Failure> {
        let path = place(config)?;
        let turn = turn(&path).map_err(|error| {
            Failure::other(format!("`{}` cannot be written: {error}", path.display()))
        })?;
        Self::read(path, Some(Arc::new(turn)))
    }

    fn read(path: PathBuf, turn: Option<Arc<fs::File>>) -> Result<Self, Failure> {
        let before = match config::read(&path)
            .and_then(|bytes| decoded(&bytes).map(str::to_owned).map_err(std::io::Error::other))
        {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(Failure::other(format!(
                    "`{}` cannot be read: {error}",
                    path.display()
                )));
            }
        };
        let document = before.parse::<DocumentMut>().map_err(|error| {
            Failure::other(format!("`{}` is not valid TOML: {}", path.display(), error.message()))
        })?;
        Ok(Self { path, before, document, _turn: turn })
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The kind of an upstream, as it is written.
    pub(super) fn kind_of(&self, name: &str) -> Option<String> {
        self.document.get("upstreams")?.get(name)?.get("kind")?.as_str().map(str::to_owned)
    }

    /// With a further upstream.
    pub(super) fn with(mut self, name: &str, mut table: Table) -> Result<Self, Failure> {
        let upstreams = self.document.entry("upstreams").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        let Some(upstreams) = upstreams.as_table_like_mut() else {
            return Err(Failure::other(format!(
                "`upstreams` in `{}` is not a table",
                self.path.display()
            )));
        };
        if upstreams.contains_key(name) {
            return Err(Failure::other(format!("there is an upstream `{name}` already"))
                .hint("choose another name with `--name`"));
        }
        // What stands at the end of the file stays before the new table.
        let end = self.document.trailing().as_str().unwrap_or_default().to_owned();
        if !end.trim().is_empty() {
            table.decor_mut().set_prefix(format!("{}\n\n", end.trim_end()));
        }
        let Some(upstreams) = self.document["upstreams"].as_table_like_mut() else {
            return Err(Failure::other("`upstreams` is not a table"));
        };
        upstreams.insert(name, Item::Table(table));
        if !end.trim().is_empty() {
            self.document.set_trailing("");
        }
        Ok(self)
    }

    /// Without an upstream.
    pub(super) fn without(mut self, name: &str) -> Result<Self, Failure> {
        let upstreams = self.document.get_mut("upstreams").and_then(Item::as_table_like_mut);
        match upstreams.and_then(|upstreams| upstreams.remove(name)) {
            Some(_) => Ok(self),
            None => Err(Failure::other(format!(
                "`{}` has no upstream `{name}`",
                self.path.display()
            ))
            .hint(
                "`airlock upstreams list` lists the upstreams; to remove an account, delete its \
                table `accounts.NAME` from the file",
            )),
        }
    }

    /// Reads the changed file as the configuration would.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let sources = Sources {
            file: Some(&self.path),
            flags: &[],
            environment: &ProcessEnvironment,
            folder,
            search_folder: false,
        };
        Config::load_text(&sources, &self.document.to_string())
            .map_err(|error| Failure::other(format!("the change was not written, because {error}")))
    }

    /// Writes it whole or not at all, once it is known to load.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let failed = |error: std::io::Error| {
            Failure::other(format!("`{}` cannot be written: {error}", self.path.display()))
        };
        self.load()?;
        // Over a link, the file it leads to is the one to change.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
        fs::create_dir_all(&folder).map_err(failed)?;
        let fresh = folder.join(format!(".airlock.{}.toml", std::process::id()));
        let written = self.try_write(&path, &fresh, failed);
        if written.is_err() {
            // It may not have come so far.
            fs::remove_file(&fresh).ok();
        }
        written
    }

    fn try_write(
        &self,
        path: &Path,
        fresh: &Path,
        failed: impl Fn(std::io::Error) -> Failure,
    ) -> Result<(), Failure> {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).open(fresh).map_err(&failed)?;
        file.write_all(self.document.to_string().as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(&failed)?;
        if let Ok(before) = fs::metadata(path) {
            file.set_permissions(before.permissions()).map_err(&failed)?;
        }
        fs::rename(fresh, path).map_err(&failed)
    }

    /// Shows the lines that changed.
    pub(super) fn show(&self) -> Result<(), Failure> {
        print(dim(format!("# {}", self.path.display())).to_string())?;
        let after = self.document.to_string();
        let (gone, come) = differing(&self.before, &after);
        gone.iter().try_for_each(|line| print(format!("- {line}")))?;
        come.iter().try_for_each(|line| print(format!("+ {line}")))
    }
}

/// The file in force, or the one that is to be made.
fn place(config: &Config) -> Result<PathBuf, Failure> {
    config.file.clone().or_else(|| config.new_file.clone()).ok_or_else(|| {
        Failure::other(
            "there is no configuration file, and HOME, which tells where to create one, is not set",
        )
        .hint("name one with `--config`")
    })
}

/// Waits for the turn to change the file: its folder, locked, because the file itself is replaced.
fn turn(path: &Path) -> std::io::Result<fs::File> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let folder = fs::File::open(folder)?;
    // Not every file system has locks; without one the last writer wins.
    folder.lock().ok();
    Ok(folder)
}

/// The lines that only the one or the other has, between the head and the tail that they share.
pub(super) fn differing<'a>(before: &'a str, after: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let head = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let rest = before.len().min(after.len()) - head;
    let tail =
        before.iter().rev().zip(after.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    (before[head..before.len() - tail].to_vec(), after[head..after.len() - tail].to_vec())
}
