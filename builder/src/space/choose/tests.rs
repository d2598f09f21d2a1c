use super::{super::item::Place, *};

const NOW: i64 = 1_000_000;

fn item(kind: Kind, id: &str, bytes: u64, age: i64) -> Item {
    Item {
        kind,
        id: id.to_owned(),
        about: format!("about {id}"),
        bytes,
        made: NOW - age,
        used: NOW - age,
        shared: false,
        in_use: false,
        parent: None,
        spare: false,
        place: Place::Mount(id.to_owned()),
    }
}

fn snapshot(id: &str, parent: Option<&str>, age: i64) -> Item {
    let place = Place::Snapshot(id.to_owned());
    Item { parent: parent.map(str::to_owned), place, ..item(Kind::Step, id, 10, age) }
}

fn chosen(items: &[Item], wish: Wish) -> Vec<String> {
    let wish = Wish { now: NOW, ..wish };
    choose(items, &wish).into_iter().map(|at| items[at].id.clone()).collect()
}

fn keep(bytes: u64) -> Wish {
    Wish { keep: Some(bytes), ..Wish::default() }
}

#[test]
fn the_longest_unused_goes_first_and_no_more_than_needed() {
    let items = [
        item(Kind::Mount, "new", 10, 100),
        item(Kind::Mount, "old", 10, 300),
        item(Kind::Mount, "middle", 10, 200),
    ];
    assert_eq!(chosen(&items, keep(30)), [""; 0]);
    assert_eq!(chosen(&items, keep(20)), ["old"]);
    assert_eq!(chosen(&items, keep(19)), ["old", "middle"]);
    assert_eq!(chosen(&items, Wish::default()), ["old", "middle", "new"]);
}

#[test]
fn a_stack_goes_from_its_top_down() {
    let items = [
        snapshot("base", None, 900),
        snapshot("old", Some("base"), 500),
        snapshot("top", Some("old"), 100),
        snapshot("other", Some("base"), 50),
    ];
    assert_eq!(chosen(&items, Wish::default()), ["top", "old", "other", "base"]);
    assert_eq!(chosen(&items, keep(20)), ["top", "old"]);
}

#[test]
fn what_lies_below_something_in_use_stays() {
    let mut items = [
        snapshot("base", None, 900),
        snapshot("step", Some("base"), 500),
        snapshot("used", Some("step"), 400),
        snapshot("free", Some("base"), 300),
    ];
    items[2].in_use = true;
    assert_eq!(chosen(&items, Wish { all: true, ..Wish::default() }), ["free"]);
}

#[test]
fn what_can_be_had_again_ages_faster_and_base_layers_slower() {
    let spare = Item { spare: true, ..item(Kind::Blob, "spare", 1, 110) };
    let base = Item { kind: Kind::Base, ..snapshot("base", None, 300) };
    let items = [
        item(Kind::Blob, "only form", 1, 200),
        spare,
        base,
        item(Kind::Download, "download", 1, 90),
        item(Kind::Partial, "partial", 1, 80),
    ];
    assert_eq!(
        chosen(&items, Wish::default()),
        ["download", "partial", "spare", "only form", "base"]
    );
}

#[test]
fn filters_hold_all_at_once_and_protect_what_lies_below() {
    let mut items = [
        snapshot("base", None, 900),
        snapshot("step", Some("base"), 50),
        item(Kind::Mount, "cargo", 10, 900),
        item(Kind::Mount, "npm", 10, 50),
    ];
    items[3].shared = true;
    let with = |filters: Vec<Filter>| chosen(&items, Wish { filters, ..Wish::default() });
    let old = Filter::UnusedFor(100);
    assert_eq!(with(vec![old.clone()]), ["cargo"], "the base is below a younger step");
    assert_eq!(with(vec![Filter::Kinds(vec![Kind::Step])]), ["step", "base"]);
    assert_eq!(with(vec![Filter::Id("np".into())]), ["npm"]);
    assert_eq!(with(vec![Filter::About("cargo".into())]), ["cargo"]);
    assert_eq!(with(vec![Filter::Shared(true)]), ["npm"]);
    assert_eq!(with(vec![Filter::Kinds(vec![Kind::Mount]), old]), ["cargo"]);
    assert_eq!(with(vec![Filter::InUse(true)]), [""; 0]);
}

#[test]
fn what_finds_the_rest_goes_only_with_all() {
    let internal = item(Kind::Internal, "digests", 5, 10);
    let fixed = Item { place: Place::Fixed, ..internal.clone() };
    assert_eq!(chosen(&[internal.clone(), fixed.clone()], Wish::default()), [""; 0]);
    assert_eq!(chosen(&[internal, fixed], Wish { all: true, ..Wish::default() }), ["digests"]);
}

#[test]
fn names_of_kinds() {
    assert_eq!(Kind::named("exec.cachemount"), [Kind::Mount]);
    assert_eq!(Kind::named("partial"), [Kind::Partial]);
    assert_eq!(Kind::named("nothing"), []);
}
