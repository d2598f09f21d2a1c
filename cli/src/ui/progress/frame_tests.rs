//! Frames at fixed times and sizes, line by line.

use touchmark_builder::{
    executor::Stream,
    solver::{
        event::{Event, Wait},
        phase::{Phase, PhaseKind},
        transfer::Motion,
    },
};

use super::{super::fixture, *};

const MS: fn(u64) -> Duration = Duration::from_millis;

struct Scene {
    ledger: Ledger,
    tails: HashMap<usize, LogTail>,
    began: Instant,
}

impl Scene {
    fn new() -> Self {
        let began = Instant::now();
        Self { ledger: Ledger::new(began), tails: HashMap::new(), began }
    }

    fn at(&mut self, after: u64, event: Event<'_>) {
        self.ledger.note(&event, self.began + MS(after));
        if let Event::Output(origin, _, bytes) = event {
            let number = self.ledger.number(origin);
            self.tails.entry(number).or_default().push(bytes);
        }
    }

    fn shown(&self, after: u64, columns: usize, rows: usize) -> Vec<String> {
        let canvas = Canvas { columns, rows, paint: Paint::new(false) };
        let lines = frame(&self.ledger, &self.tails, canvas, self.began + MS(after));
        assert!(lines.len() < rows.max(2), "{lines:#?}");
        for line in &lines {
            assert!(log_text::columns_shown(line) <= columns, "too wide: {line}");
        }
        lines.iter().map(|line| line.trim_end().to_owned()).collect()
    }
}

/// Two steps that run, one that waits, a download, an upload, and a phase.
fn busy() -> Scene {
    let mut scene = Scene::new();
    let apt = fixture::origin("build", 2, 2, "RUN apt-get update && apt-get install -y gcc");
    let npm = fixture::origin("web", 3, 9, "RUN npm ci");
    let last = fixture::origin("build", 3, 3, "COPY . /src");
    scene.at(0, Event::Planned(&[&apt, &last, &npm]));
    scene.at(100, Event::Checking(&apt));
    scene.at(200, Event::Started(&apt));
    scene.at(1200, Event::Started(&npm));
    scene.at(1300, Event::Waiting(&last, Wait::Slot));
    for number in 1..=9 {
        let line = format!("Get:{number} a package\n");
        scene.at(1400, Event::Output(&apt, Stream::Stdout, line.as_bytes()));
    }
    let evil = b"10%\r20%\x1b[2J\x1b[31m red\x1b[0m \xe6\x97\xa5\xe6\x9c\xac";
    scene.at(1400, Event::Output(&npm, Stream::Stderr, evil));
    let (image, blob) = (fixture::image(), fixture::blob(48_500_000));
    let pull = |motion| fixture::transfer(Direction::Pull, &image, &blob, motion);
    scene.at(1000, pull(Motion::Began));
    scene.at(2000, pull(Motion::Moved(12_000_000)));
    scene.at(2000, Event::Began(Phase::of(PhaseKind::Push, "registry.example/team/app:1")));
    scene
}

#[test]
fn what_runs_waits_and_moves_is_shown() {
    assert_eq!(
        busy().shown(3000, 80, 24),
        [
            " => [build 2/4] RUN apt-get update && apt-get install -y gcc                2.8s",
            "    | Get:4 a package",
            "    | Get:5 a package",
            "    | Get:6 a package",
            "    | Get:7 a package",
            "    | Get:8 a package",
            "    | Get:9 a package",
            " => [build 3/4] waits for another step to end: COPY . /src                  1.7s",
            " => [web 3/4] RUN npm ci                                                    1.8s",
            "    | 20% red 日本",
            " => pushing registry.example/team/app:1                                     1.0s",
            " => pulling dac1d7cfa950 of reg… [===>            ] 12.0 MB of 48.5 MB, 6.0 MB/s",
            "building 3.0s, 0 of 3 steps done, 1 waiting",
        ]
    );
}

#[test]
fn a_narrow_terminal_cuts_and_a_low_one_shows_less() {
    assert_eq!(
        busy().shown(3000, 30, 9),
        [
            " => [build 2/4] RUN apt-… 2.8s",
            "    | Get:9 a package",
            " => [build 3/4] waits fo… 1.7s",
            " => [web 3/4] RUN npm ci  1.8s",
            "    | 20% red 日本",
            " => pushing registry.exa… 1.0s",
            "… 12.0 MB of 48.5 MB, 6.0 MB/s",
            "building 3.0s, 0 of 3 steps d…",
        ]
    );
    assert_eq!(
        busy().shown(3000, 40, 4),
        [
            " => [build 2/4] RUN apt-get update… 2.8s",
            " => [build 3/4] waits for another … 1.7s",
            "building 3.0s, 0 of 3 steps done, 1 wai…",
        ]
    );
    for rows in 0..12 {
        for columns in [0, 1, 2, 7, 20, 200] {
            let _ = busy().shown(3000, columns, rows);
        }
    }
}

#[test]
fn a_quick_look_into_the_cache_is_not_shown() {
    let mut scene = Scene::new();
    let copy = fixture::origin("build", 2, 2, "COPY . /src");
    scene.at(0, Event::Planned(&[&copy]));
    scene.at(0, Event::Checking(&copy));
    assert_eq!(scene.shown(200, 80, 24), ["building 0.2s, 0 of 1 steps done"]);
    assert_eq!(
        scene.shown(500, 80, 24)[0],
        " => [build 2/4] is looked up in the cache: COPY . /src                      0.5s"
    );
    scene.at(600, Event::Cached(&copy));
    assert_eq!(scene.shown(700, 80, 24), ["building 0.7s, 1 of 1 steps done, 1 cached"]);
}
