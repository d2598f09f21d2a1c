//! Key files and their passwords, read from disk, from the environment or from the terminal.

use std::{
    fs,
    io::{self, BufRead, IsTerminal},
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use touchmark_attest::key::{KeyError, Password, PrivateKey, PublicKey};

use crate::{
    config,
    error::CliError,
    sleeping_key::{PublicKeys, SleepingKey},
    ui::printer::Printer,
};

const PASSWORD: &str = "COSIGN_PASSWORD";

/// A private key as a build has it.
#[derive(Debug)]
pub(crate) enum BuildKey {
    /// Opened.
    Awake(PrivateKey),
    /// To be opened when something has to be signed.
    Asleep(SleepingKey),
}

/// Reads the key of a build: where its public half is known from an earlier build and its password is given,
/// it stays closed for now. What is found out is kept in `memo`.
pub(crate) fn load_for_build(
    path: &Path,
    memo: &PublicKeys,
    printer: &Printer,
) -> Result<BuildKey, CliError> {
    let text = read(path)?;
    let is_sealed = matches!(PrivateKey::from_pem(&text, None), Err(KeyError::PasswordNeeded));
    if is_sealed
        && let Some(password) = given_password()?
        && let Some(key) = SleepingKey::of(&text, &password, memo)
    {
        exposed(path, printer);
        return Ok(BuildKey::Asleep(key));
    }
    let key = load(path, printer)?;
    if is_sealed {
        memo.put(&text, key.public());
    }
    Ok(BuildKey::Awake(key))
}

/// Reads a private key; the password comes from `COSIGN_PASSWORD`, else from the terminal. A file that
/// others may read is used, with a warning.
pub(crate) fn load(path: &Path, printer: &Printer) -> Result<PrivateKey, CliError> {
    let text = read(path)?;
    exposed(path, printer);
    let failed = |error: KeyError| unusable(path, &error);
    let given = given_password()?;
    match PrivateKey::from_pem(&text, given.as_ref()) {
        Err(KeyError::PasswordNeeded) if io::stdin().is_terminal() => {
            let password = ask(printer, &format!("Password of {}: ", path.display()))?;
            PrivateKey::from_pem(&text, Some(&password)).map_err(failed)
        }
        other => other.map_err(failed),
    }
}

/// Warns of a private key that others may read.
fn exposed(path: &Path, printer: &Printer) {
    let mode = fs::metadata(path).map(|metadata| metadata.mode()).unwrap_or_default();
    if mode & 0o077 != 0 {
        printer.warning(&format!(
            "the private key {} can be read by other users (mode {:04o})\nhelp: chmod 600 {}",
            path.display(),
            mode & 0o7777,
            path.display()
        ));
    }
}

/// Does it name a token or a service, rather than a file?
pub(crate) fn is_service(key: &str) -> bool {
    key.starts_with("pkcs11:") || key.contains("://")
}

/// Reads a public key.
pub(crate) fn load_public(path: &Path) -> Result<PublicKey, CliError> {
    PublicKey::from_pem(&read(path)?).map_err(|error| unusable(path, &error))
}

/// The password for a new key. An empty one is allowed, as cosign allows it.
pub(crate) fn new_password(printer: &Printer) -> Result<Password, CliError> {
    if let Some(password) = given_password()? {
        return Ok(password);
    }
    if !io::stdin().is_terminal() {
        return Err(CliError::usage(
            "the new key needs a password, and there is no terminal to ask",
        )
        .hint(format!("set {PASSWORD}; an empty value makes a key without a password")));
    }
    let first = ask(printer, "Password of the new private key: ")?;
    if first != ask(printer, "The same again: ")? {
        return Err(CliError::usage("the two passwords differ; no key was made"));
    }
    Ok(first)
}

fn given_password() -> Result<Option<Password>, CliError> {
    Ok(config::text_variable_or_empty(PASSWORD)?.map(|text| Password::new(text.into_bytes())))
}

pub(crate) fn unusable(path: &Path, error: &KeyError) -> CliError {
    let shown = CliError::usage(format!("the key {} cannot be used: {error}", path.display()));
    match error {
        KeyError::WrongPassword | KeyError::PasswordNeeded => {
            shown.hint(format!("export {PASSWORD} with the password the key was made with"))
        }
        _ => shown.hint("make a key pair with 'touchmark key generate'"),
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    const LARGEST: u64 = 64 * 1024;
    let fault = |reason: String| {
        CliError::usage(format!("the key {} cannot be read: {reason}", path.display()))
            .hint("make a key pair with 'touchmark key generate', or give the path of yours")
    };
    config::read_file(path, LARGEST).map_err(fault).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| fault("it is not text; a key file is PEM".into()))
    })
}

/// Asks on the terminal without showing what is typed.
fn ask(printer: &Printer, question: &str) -> Result<Password, CliError> {
    let fault = |error: io::Error| {
        CliError::environment(format!("the password cannot be read from the terminal: {error}"))
    };
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin).map_err(|error| fault(error.into()))?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    printer.prompt(question);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(|error| fault(error.into()))?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &shown).map_err(|error| fault(error.into()))?;
    printer.talk("");
    read.map_err(fault)?;
    Ok(Password::new(line.trim_end_matches(['\n', '\r']).as_bytes()))
}
