//! The floors of `docs/architecture.md` as a table, and what breaks them.

use crate::{paths, source::SourceFile};

/// A floor with its rooms. Order is law: a room imports only what stands **before** it, on lower floors and on
/// its own one, so the table cannot allow a circle.
pub(crate) struct Floor {
    /// Its name in docs/architecture.md.
    pub(crate) name: &'static str,
    /// Its rooms, lowest first.
    pub(crate) rooms: &'static [&'static str],
}

/// `builder/src`, lowest floor first.
pub(crate) const BUILDER: &[Floor] = &[
    Floor {
        name: "pure",
        rooms: &["oci", "secret", "purl", "proxy", "dockerfile", "policy", "remote"],
    },
    Floor { name: "graph", rooms: &["graph", "lint"] },
    Floor { name: "bytes", rooms: &["content", "layer", "downloads"] },
    Floor { name: "edges", rooms: &["authorities", "registry", "worker", "snapshot"] },
    Floor {
        name: "work",
        rooms: &["source", "egress", "trust", "fetch", "ssh", "integrity", "emulation", "executor"],
    },
    Floor { name: "engine", rooms: &["solver", "space", "trace"] },
    Floor { name: "product", rooms: &["harden", "sbom", "image", "compare", "export"] },
    Floor {
        name: "roof",
        rooms: &["provenance", "attestations", "materials", "base_trust", "shared_cache", "build"],
    },
];

/// `attest/src`, lowest floor first.
pub(crate) const ATTEST: &[Floor] = &[
    Floor {
        name: "words",
        rooms: &[
            "excerpt",
            "strict_json",
            "digest_set",
            "image_digest",
            "resource_descriptor",
            "statement",
            "key",
        ],
    },
    Floor { name: "meaning", rooms: &["predicate", "trust"] },
    Floor { name: "envelope", rooms: &["envelope"] },
    Floor { name: "mark", rooms: &["sign", "bundle"] },
    Floor { name: "proof", rooms: &["verify"] },
    Floor { name: "judgement", rooms: &["policy"] },
];

/// The table of a crate. `cli` has none: its files are few, and [`crate::circles`] looks after them.
pub(crate) fn table(house: &str) -> &'static [Floor] {
    match house {
        "builder" => BUILDER,
        "attest" => ATTEST,
        _ => &[],
    }
}

/// Place of a room counted from below, and its floor's name.
fn place(house: &str, room: &str) -> Option<(usize, &'static str)> {
    let rooms =
        table(house).iter().flat_map(|floor| floor.rooms.iter().map(|room| (*room, floor.name)));
    rooms.enumerate().find(|(_, (name, _))| *name == room).map(|(place, (_, floor))| (place, floor))
}

/// Imports of a higher room.
pub(crate) fn violations(files: &[SourceFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        let Some(room) = file.room() else { continue };
        let Some((own, floor)) = place(file.house(), room) else { continue };
        for path in paths::named(file).iter().filter(|path| path.starts_with("crate")) {
            let Some(wanted) = path.segments.get(1) else { continue };
            if let Some((_, other_floor)) =
                place(file.house(), wanted).filter(|(other, _)| *other > own)
            {
                found.push(format!(
                    "{}:{}: imports {wanted} ({other_floor}) from {room} ({floor})",
                    file.path, path.line
                ));
            }
        }
    }
    found
}

/// Rooms that exist and stand on no floor.
pub(crate) fn unregistered(files: &[SourceFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !table(file.house()).is_empty()) {
        let Some(room) = file.room() else { continue };
        if place(file.house(), room).is_none() {
            found.push(format!(
                "{}: room '{room}' stands on no floor; give it one in tests/architecture/floors.rs and docs/architecture.md",
                file.path
            ));
        }
    }
    found
}

/// `builder/src/lib.rs` lists its rooms floor by floor: the map is read from top to bottom. Within a floor the
/// reading order is free.
pub(crate) fn map_out_of_order(files: &[SourceFile]) -> Vec<String> {
    let Some(map) = files.iter().find(|file| file.path == "builder/src/lib.rs") else {
        return Vec::new();
    };
    let listed = map.text.lines().filter_map(|line| {
        let name = line.strip_prefix("//! - [`")?;
        name.split_once("`]").map(|(name, _)| name)
    });
    let height = |room: &str| BUILDER.iter().position(|floor| floor.rooms.contains(&room));
    let mut found = Vec::new();
    let mut highest = (0, "");
    for (room, floor) in listed.filter_map(|room| Some((room, height(room)?))) {
        if floor < highest.0 {
            found.push(format!(
                "{}: lists {room} after {}, which stands higher",
                map.path, highest.1
            ));
        } else {
            highest = (floor, room);
        }
    }
    let declared =
        map.code.lines().filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'));
    for room in declared {
        if !map.text.contains(&format!("//! - [`{room}`]")) {
            found.push(format!(
                "{}: declares {room}, but its map does not say what it is",
                map.path
            ));
        }
    }
    found
}
