//! The async runtime of a command. It is made after the process has entered the worker, which needs a
//! single thread.

use std::future::Future;

use crate::error::CliError;

/// Runs `work` to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        CliError::environment(format!("the async runtime cannot start: {error}"))
    })?;
    Ok(runtime.block_on(work))
}
