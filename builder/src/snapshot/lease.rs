//! A lease holds what a build makes until it is committed, so that containerd's collector does not take it
//! away; it expires by itself should nobody ever sweep.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use containerd_client::services::v1::{CreateRequest, DeleteRequest};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::worker::{
    Connection, ConnectionError, ProcessIdentity,
    connection::{BUILDER_LABEL, request},
};

/// Longer than any build.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Makes the builder's lease, or keeps the one that is there, and returns its id.
pub(super) async fn take(
    connection: &Connection,
    builder: &ProcessIdentity,
) -> Result<String, ConnectionError> {
    let id = format!("touchmark-{builder}");
    let expiry = timestamp(SystemTime::now() + LIFETIME);
    let labels = HashMap::from([
        ("containerd.io/gc.expire".to_owned(), expiry),
        (BUILDER_LABEL.to_owned(), builder.to_string()),
    ]);
    let create = CreateRequest { id: id.clone(), labels };
    let made = connection.leases().create(request(create)).await;
    match made.map_err(ConnectionError::call("create a lease")) {
        Err(error) if !error.is_already_there() => Err(error),
        _ => Ok(id),
    }
}

/// Gives a lease back, and waits until what it held is collected if that is asked for (`sync`).
pub(super) async fn release(
    connection: &Connection,
    id: &str,
    sync: bool,
) -> Result<(), ConnectionError> {
    let delete = DeleteRequest { id: id.to_owned(), sync };
    let deleted = connection.leases().delete(request(delete)).await;
    match deleted.map_err(ConnectionError::call("delete a lease")) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// RFC 3339, as containerd's labels want it.
pub(super) fn timestamp(time: SystemTime) -> String {
    OffsetDateTime::from(time)
        .format(&Rfc3339)
        .unwrap_or_else(|_| "1970-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_rfc_3339() {
        assert_eq!(timestamp(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
