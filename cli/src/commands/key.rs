//! `touchmark key`.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use touchmark_attest::key::{KeyError, PrivateKey, SealRandom};

use crate::{error::CliError, signing_key, ui::printer::Printer};

/// Make signing keys.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a P-256 key pair: PREFIX.key, encrypted in cosign's format, and PREFIX.pub
    ///
    /// The password is taken from COSIGN_PASSWORD, else asked for on the terminal.
    Generate {
        /// Where the two files go
        #[arg(long, value_name = "PREFIX", default_value = "cosign")]
        output_key_prefix: PathBuf,
    },
    /// Print the public key of a private key
    Public {
        /// Private key file
        #[arg(long, value_name = "FILE", default_value = "cosign.key")]
        key: PathBuf,
    },
}

/// Runs `touchmark key`.
pub(crate) fn run(args: &KeyArgs, printer: &Printer) -> Result<ExitCode, CliError> {
    match &args.command {
        KeyCommand::Generate { output_key_prefix } => generate(output_key_prefix, printer)?,
        KeyCommand::Public { key } => {
            let pem = signing_key::load(key, printer)?.public().to_pem();
            printer.data(&pem.map_err(|error| CliError::failed(error.to_string()))?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn generate(prefix: &Path, printer: &Printer) -> Result<(), CliError> {
    let failed = |error: KeyError| CliError::failed(error.to_string());
    let (private_path, public_path) = (with_ending(prefix, ".key"), with_ending(prefix, ".pub"));
    for path in [&private_path, &public_path] {
        if path.exists() {
            return Err(CliError::usage(format!("{} is there already", path.display()))
                .hint("a key is never overwritten: choose another --output-key-prefix"));
        }
    }
    let password = signing_key::new_password(printer)?;
    let key = loop {
        match PrivateKey::from_random(&random()?) {
            Err(KeyError::Random) => {}
            other => break other.map_err(failed)?,
        }
    };
    let seal = SealRandom { salt: random()?, nonce: random()? };
    let private = key.to_sealed_pem(&password, &seal).map_err(failed)?;
    let public = key.public().to_pem().map_err(failed)?;
    write_new(&private_path, &private, 0o600)?;
    write_new(&public_path, &public, 0o644)?;
    printer.talk(&format!("private key: {}", private_path.display()));
    printer.talk(&format!("public key:  {}", public_path.display()));
    Ok(())
}

fn with_ending(prefix: &Path, ending: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

fn random<const N: usize>() -> Result<[u8; N], CliError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        CliError::environment(format!("the system gives no random bytes: {error}"))
    })?;
    Ok(bytes)
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CliError> {
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| CliError::failed(format!("{} cannot be written: {error}", path.display())))
}
