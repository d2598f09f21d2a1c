//! The way into the worker: what needs it is run again inside of its namespaces, as root of a user
//! namespace in which no step's root is the user.

use std::fs;

use touchmark_builder::worker::{
    Worker, WorkerConfig, WorkerError, WorkerUser, config::runtime_dir, enter,
};

use crate::{
    config::{self, Config},
    error::CliError,
    invocation,
};

/// Where the worker is and for whom.
pub(crate) fn worker_config(config: &Config) -> Result<WorkerConfig, CliError> {
    let uid = real_uid()?;
    let xdg = config.xdg_runtime_dir.as_deref();
    Ok(WorkerConfig {
        data_dir: config.data_dir.clone(),
        // Inside, the directory was checked already, and its owner shows as 0.
        runtime_dir: match (config::entered(), xdg) {
            (false, _) => runtime_dir(xdg, uid).map_err(environment)?,
            (true, Some(xdg)) => xdg.join("touchmark"),
            (true, None) => format!("/tmp/touchmark-{uid}").into(),
        },
        search_path: config.search_path.clone(),
        containerd: None,
        user: WorkerUser { name: login_name(uid), uid },
    })
}

/// Starts the worker where it does not run and goes on inside of it. Outside, this call does not return
/// unless it fails: the program begins again, inside.
pub(crate) fn join(config: &WorkerConfig) -> Result<Worker, CliError> {
    if config::entered() {
        let worker = Worker::find(config).map_err(environment)?.ok_or_else(|| {
            CliError::environment("the worker stopped while the build began")
                .hint("run the command again")
        })?;
        enter::isolate(&worker).map_err(environment)?;
        return Ok(worker);
    }
    let worker = Worker::ensure(config).map_err(environment)?;
    match enter::enter(&worker, &invocation::arguments()) {
        Err(error) => Err(environment(error)),
        Ok(never) => match never {},
    }
}

/// Starts the worker where it does not run and goes on inside of it, for what calls [`join`] later.
pub(crate) fn begin(config: &WorkerConfig) -> Result<(), CliError> {
    if config::entered() {
        return Ok(());
    }
    join(config).map(drop)
}

/// Goes on inside of the worker if it runs; returns where it does not, or the process is inside already.
pub(crate) fn enter_running(config: &WorkerConfig) -> Result<(), CliError> {
    if config::entered() {
        return Ok(());
    }
    match Worker::find(config).map_err(environment)? {
        None => Ok(()),
        Some(worker) => match enter::enter(&worker, &invocation::arguments()) {
            Err(error) => Err(environment(error)),
            Ok(never) => match never {},
        },
    }
}

/// The error of a worker that cannot be had: exit code 3.
pub(crate) fn environment(error: WorkerError) -> CliError {
    CliError::environment(error.to_string())
}

/// The user's id outside of any user namespace that touchmark made.
fn real_uid() -> Result<u32, CliError> {
    let uid = rustix::process::getuid().as_raw();
    if !config::entered() {
        return Ok(uid);
    }
    // user_namespaces(7): each line is inside, outside, length.
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            (fields.next()? == "0").then(|| fields.next()?.parse().ok())?
        })
        .next()
        .ok_or_else(|| CliError::environment("/proc/self/uid_map does not name the user"))
}

/// The login name of `uid`, by which subordinate ids are listed; the number where there is none.
fn login_name(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
        })
        .or_else(config::user_name)
        .unwrap_or_else(|| uid.to_string())
}
