//! No circle among the rooms of a crate, also where no floor is set.

use std::collections::{BTreeMap, BTreeSet};

use crate::{paths, source::SourceFile};

/// Who imports whom inside one crate, with the file and line that says so.
type Imports<'a> = BTreeMap<&'a str, BTreeMap<String, String>>;

/// One sentence per circle, with each import that closes it.
pub(crate) fn violations(files: &[SourceFile]) -> Vec<String> {
    let houses: BTreeSet<&str> = files.iter().map(SourceFile::house).collect();
    houses.into_iter().flat_map(|house| circles(&imports(files, house))).collect()
}

fn imports<'a>(files: &'a [SourceFile], house: &str) -> Imports<'a> {
    let inside = || files.iter().filter(|file| file.house() == house);
    let rooms: BTreeSet<&str> = inside().filter_map(SourceFile::room).collect();
    let mut imports = Imports::new();
    for file in inside() {
        let Some(room) = file.room() else { continue };
        for path in paths::named(file).iter().filter(|path| path.starts_with("crate")) {
            let Some(wanted) =
                path.segments.get(1).filter(|w| rooms.contains(w.as_str()) && *w != room)
            else {
                continue;
            };
            let place = format!("{}:{}", file.path, path.line);
            imports.entry(room).or_default().entry(wanted.clone()).or_insert(place);
        }
    }
    imports
}

fn circles(imports: &Imports) -> Vec<String> {
    let mut found = Vec::new();
    for start in imports.keys() {
        // Each circle is told once, from its first room in alphabetical order.
        let trail = way_back(imports, start)
            .filter(|trail| trail.iter().min() == Some(&(*start).to_owned()));
        found.extend(trail.map(|trail| tell(imports, &trail)));
    }
    found
}

/// The shortest way from `start` over its imports back to itself.
fn way_back(imports: &Imports, start: &str) -> Option<Vec<String>> {
    let mut trails = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while !trails.is_empty() {
        let mut longer = Vec::new();
        for trail in trails {
            let Some(next) = trail.last().and_then(|last| imports.get(last.as_str())) else {
                continue;
            };
            for room in next.keys() {
                if room == start {
                    return Some(trail);
                }
                if seen.insert(room.clone()) {
                    longer.push([trail.clone(), vec![room.clone()]].concat());
                }
            }
        }
        trails = longer;
    }
    None
}

fn tell(imports: &Imports, trail: &[String]) -> String {
    let mut sentence = String::from("circle:");
    for (at, room) in trail.iter().enumerate() {
        let next = &trail[(at + 1) % trail.len()];
        let place = imports.get(room.as_str()).and_then(|next_rooms| next_rooms.get(next));
        let place = place.map_or("", String::as_str);
        sentence.push_str(&format!("\n  {room} imports {next} at {place}"));
    }
    sentence
}
