//! Blobs by digest on disk: `error` ← `verified_blob`, `blob_writer`, `blob_sink`, `growing_blob` (read while it
//! arrives) ← `partial_blob` ← `store`; documents about them in a database: `index` ← `records`; `hold` keeps what
//! a running command uses from those who free space; `room`: is there any left?
//!
//! Bytes are checked against their digest when they come in and again whenever they are read, so
//! nothing leaves this room unverified. That is also why no blob is synced to disk: a machine that
//! loses power may lose or damage a fresh blob, the next read notices, removes it, and it is fetched or
//! made again. A sync per blob would cost more than all such repairs.

pub mod blob_sink;
pub mod blob_writer;
pub mod error;
pub mod growing_blob;
pub mod hold;
pub mod index;
pub mod inventory;
pub mod partial_blob;
pub mod records;
pub mod room;
pub mod store;
pub mod verified_blob;
