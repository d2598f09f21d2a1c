//! `--secret`: where a build secret comes from.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::Path,
};

use touchmark_builder::secret::SecretBytes;

use crate::{config, error::CliError};

/// A larger secret is none, in bytes; BuildKit's limit.
const MAX_SECRET: u64 = 500 * 1024;

/// Reads every `id=ID[,src=PATH|,env=NAME]`.
pub(in crate::commands) fn read(
    specs: &[String],
) -> Result<BTreeMap<String, SecretBytes>, CliError> {
    specs.iter().map(|spec| one(spec)).collect()
}

/// Without `src` and `env`, the secret is the environment variable named like it, else the file.
fn one(spec: &str) -> Result<(String, SecretBytes), CliError> {
    let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
    for field in spec.split(',') {
        let (key, value) = field.split_once('=').ok_or_else(|| unreadable(field))?;
        match key {
            "id" => id = Some(value),
            "src" | "source" => file = Some(value),
            "env" => variable = Some(value),
            "type" if matches!(value, "file" | "env") => kind = Some(value),
            _ => return Err(unreadable(field)),
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| {
        CliError::usage("--secret needs id=")
            .hint("write for example --secret id=token,src=token.txt")
    })?;
    // `type=env,src=NAME` is another way to write `env=NAME`.
    if kind == Some("env") {
        variable = variable.or(file.take());
    }
    let bytes = match (file, variable) {
        (Some(_), Some(_)) => {
            return Err(CliError::usage(format!("--secret: '{id}' has both src and env"))
                .hint("name one of them"));
        }
        (Some(path), None) => from_file(id, Path::new(path))?,
        (None, Some(name)) => from_variable(id, name)?,
        (None, None) => match config::text_variable_or_empty(id) {
            Ok(Some(text)) if kind != Some("file") => text.into_bytes(),
            _ if kind == Some("env") => from_variable(id, id)?,
            _ => from_file(id, Path::new(id))?,
        },
    };
    if bytes.len() as u64 > MAX_SECRET {
        return Err(CliError::usage(format!("the secret '{id}' has more than {MAX_SECRET} bytes"))
            .hint("a secret is a password, a token or a key; copy larger files"));
    }
    Ok((id.to_owned(), SecretBytes::new(bytes)))
}

fn unreadable(field: &str) -> CliError {
    CliError::usage(format!("--secret: '{field}' cannot be read"))
        .hint("write id=NAME,src=FILE or id=NAME,env=VARIABLE")
}

fn from_file(id: &str, path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    // A pipe, as `<(command)` of a shell, gives its bytes once: to the run inside of the worker.
    if !config::entered()
        && fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
    {
        return Ok(bytes);
    }
    let read = File::open(path).and_then(|file| file.take(MAX_SECRET + 1).read_to_end(&mut bytes));
    read.map_err(|error| {
        CliError::usage(format!("the secret '{id}' cannot be read: {}: {error}", path.display()))
            .hint(format!("name its file: --secret id={id},src=FILE"))
    })?;
    Ok(bytes)
}

fn from_variable(id: &str, name: &str) -> Result<Vec<u8>, CliError> {
    let text = config::text_variable_or_empty(name)?.ok_or_else(|| {
        CliError::usage(format!("the secret '{id}': the environment variable {name} is not set"))
            .hint("set it, or name a file with src=")
    })?;
    Ok(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(spec: &str) -> String {
        one(spec).unwrap_err().to_string()
    }

    #[test]
    fn a_secret_comes_from_a_file_or_a_variable() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, [0xff, b'x']).unwrap();
        for spec in [
            format!("id=t,src={}", file.display()),
            format!("type=file,source={},id=t", file.display()),
        ] {
            let (id, bytes) = one(&spec).unwrap();
            assert_eq!((id.as_str(), bytes.expose_secret()), ("t", &[0xff, b'x'][..]));
        }
        let path = config::text_variable_or_empty("PATH").unwrap().unwrap();
        for spec in ["id=p,env=PATH", "id=p,type=env,src=PATH", "id=PATH"] {
            assert_eq!(one(spec).unwrap().1.expose_secret(), path.as_bytes());
        }
    }

    #[test]
    fn faults_say_what_to_write() {
        assert_eq!(
            fault("id=t,file=x"),
            "--secret: 'file=x' cannot be read\nhelp: write id=NAME,src=FILE or id=NAME,env=VARIABLE"
        );
        assert_eq!(
            fault("src=x"),
            "--secret needs id=\nhelp: write for example --secret id=token,src=token.txt"
        );
        assert_eq!(
            fault("id=t,env=TOUCHMARK_NO_SUCH_VARIABLE"),
            "the secret 't': the environment variable TOUCHMARK_NO_SUCH_VARIABLE is not set\n\
             help: set it, or name a file with src="
        );
        assert_eq!(
            fault("id=t,env=A,src=b"),
            "--secret: 't' has both src and env\nhelp: name one of them"
        );
        assert!(fault("id=t,src=/nonexistent/file").starts_with(
            "the secret 't' cannot be read: /nonexistent/file: No such file or directory"
        ));
    }
}
