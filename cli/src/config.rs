//! The only reader of the environment and of the user's own files: directories, keys, passwords,
//! policy, Docker credentials.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use touchmark_builder::{fetch::GitProgram, proxy::Proxies};

use crate::{error::CliError, ui::surroundings::Surroundings};

/// What touchmark takes from the environment.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Images, snapshots, caches: `$XDG_DATA_HOME/touchmark`.
    pub(crate) data_dir: PathBuf,
    /// `$XDG_RUNTIME_DIR`, where it is a directory.
    pub(crate) xdg_runtime_dir: Option<PathBuf>,
    /// `$PATH`, with the system directories that unprivileged shells leave out.
    pub(crate) search_path: Vec<PathBuf>,
    /// Docker's `config.json`.
    pub(crate) docker_config: PathBuf,
    /// The user's own settings, which may be missing: `$XDG_CONFIG_HOME/touchmark/config.toml`.
    pub(crate) user_file: PathBuf,
    /// The proxies on the way out, of which no step knows.
    pub(crate) proxies: Proxies,
}

impl Config {
    /// Reads the environment.
    pub(crate) fn from_environment() -> Result<Self, CliError> {
        let home = variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let home = home.ok_or_else(|| {
            CliError::environment("HOME is not set to an absolute path")
                .hint("set HOME to your home directory, for example: export HOME=/home/$(id -un)")
        })?;
        let directory = |name: &str| variable(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let data_dir = directory("XDG_DATA_HOME")
            .unwrap_or_else(|| home.join(".local/share"))
            .join("touchmark");
        let docker_config = directory("DOCKER_CONFIG").unwrap_or_else(|| home.join(".docker"));
        let settings =
            directory("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")).join("touchmark");
        let proxies = Proxies::read(|name| variable(name)?.into_string().ok());
        let proxies = proxies.map_err(|error| CliError::usage(error.to_string()))?;
        Ok(Self {
            proxies,
            user_file: settings.join("config.toml"),
            docker_config: docker_config.join("config.json"),
            search_path: search_path(&variable("PATH").unwrap_or_default()),
            xdg_runtime_dir: directory("XDG_RUNTIME_DIR").filter(|dir| dir.is_dir()),
            data_dir,
        })
    }
}

impl Config {
    /// The git program, with what of the user's session it may have.
    pub(crate) fn git(&self) -> Option<GitProgram> {
        let home = variable("HOME").map(PathBuf::from);
        Some(GitProgram {
            program: self.find_program("git")?,
            search_path: env::join_paths(&self.search_path).ok()?,
            ssh_agent: variable("SSH_AUTH_SOCK").map(PathBuf::from),
            known_hosts: home
                .map(|home| home.join(".ssh/known_hosts"))
                .filter(|path| path.is_file()),
        })
    }

    /// The first executable of that name in the search path.
    pub(crate) fn find_program(&self, name: &str) -> Option<PathBuf> {
        self.search_path.iter().map(|directory| directory.join(name)).find(|path| path.is_file())
    }
}

/// What the environment says about the terminal and the display.
pub(crate) fn surroundings() -> Surroundings {
    let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
    let number = |name| text(name)?.parse::<usize>().ok().filter(|number| *number > 0);
    Surroundings {
        progress: text("BUILDKIT_PROGRESS"),
        no_color: variable("NO_COLOR").is_some(),
        dumb: text("TERM").as_deref() == Some("dumb"),
        size: number("COLUMNS").map(|columns| (columns, number("LINES").unwrap_or(24))),
    }
}

/// A file of at most `max` bytes, or why it cannot be read. What says it is empty (a pipe, a device) is
/// read no further either.
pub(crate) fn read_file(path: &Path, max: u64) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(max + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if read as u64 > max {
        return Err(format!("it has more than {max} bytes"));
    }
    Ok(bytes)
}

fn search_path(path: &OsString) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> =
        env::split_paths(path).filter(|directory| directory.is_absolute()).collect();
    for system in ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"] {
        if !directories.iter().any(|directory| directory == Path::new(system)) {
            directories.push(system.into());
        }
    }
    directories
}

/// Was the program begun again inside of the worker?
pub(crate) fn entered() -> bool {
    variable(touchmark_builder::worker::enter::ENTERED).is_some()
}

/// The login name as the session has it.
pub(crate) fn user_name() -> Option<String> {
    variable("USER").or_else(|| variable("LOGNAME"))?.into_string().ok()
}

/// An environment variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// An environment variable as text, also an empty one.
pub(crate) fn text_variable_or_empty(name: &str) -> Result<Option<String>, CliError> {
    match env::var_os(name) {
        Some(value) if value.is_empty() => Ok(Some(String::new())),
        _ => text_variable(name),
    }
}

/// An environment variable as text; one that is not UTF-8 is a usage error.
pub(crate) fn text_variable(name: &str) -> Result<Option<String>, CliError> {
    variable(name)
        .map(|value| {
            value.into_string().map_err(|_| {
                CliError::usage(format!("the environment variable {name} is not UTF-8 text"))
            })
        })
        .transpose()
}

/// `SOURCE_DATE_EPOCH` as it stands in the environment, where it is set.
pub(crate) fn source_date_epoch() -> Result<Option<String>, CliError> {
    text_variable(SOURCE_DATE_EPOCH)
}

/// The variable and build argument that sets the time in image content.
pub(crate) const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Seconds since 1970, as [`SOURCE_DATE_EPOCH`] holds them; none where it is empty.
pub(crate) fn epoch(text: &str) -> Result<Option<i64>, CliError> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<i64>() {
        Ok(seconds) if seconds >= 0 => Ok(Some(seconds)),
        _ => Err(CliError::usage(format!(
            "SOURCE_DATE_EPOCH is '{}', not a number of seconds since 1970",
            crate::ui::text::harmless(text)
        ))
        .hint("set it to a number such as 1700000000, or unset it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_not_read_to_it() {
        let fault = read_file(Path::new("/dev/zero"), 1000).unwrap_err();
        assert_eq!(fault, "it has more than 1000 bytes");
        assert_eq!(read_file(Path::new("/dev/null"), 0), Ok(Vec::new()));
    }

    #[test]
    fn system_directories_are_searched_after_the_users_own() {
        let found = search_path(&OsString::from("/opt/bin:relative:/usr/bin"));
        assert_eq!(found[..2], [PathBuf::from("/opt/bin"), PathBuf::from("/usr/bin")]);
        assert!(found.contains(&PathBuf::from("/usr/sbin")));
        assert!(!found.contains(&PathBuf::from("relative")));
    }
}
