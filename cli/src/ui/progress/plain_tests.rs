//! Lines as a file gets them.

use std::sync::Arc;

use touchmark_builder::solver::{event::Fetched, phase::Phase};

use super::{super::fixture, *};

#[derive(Debug, Clone, Default)]
struct Sheet(Arc<Mutex<Vec<u8>>>);

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sheet {
    fn display(&self) -> Plain {
        Plain::new(Box::new(self.clone()), Paint::new(false), fixture::dockerfile())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[test]
fn every_event_has_its_line_and_lines_of_steps_stay_whole() {
    let sheet = Sheet::default();
    let plain = sheet.display();
    let make = fixture::origin("build", 3, 3, "RUN make");
    let test = fixture::origin("test", 2, 6, "RUN make test");
    let copy = fixture::origin("test", 3, 7, "COPY a /b");
    let secs = Duration::from_secs;
    plain.event(Event::Planned(&[&make, &test, &copy]));
    plain.event(Event::Checking(&make));
    plain.event(Event::Started(&make));
    plain.event(Event::Missed(&make, &[fixture::change(), Reason::LayerGone]));
    plain.event(Event::Missed(&test, &[Reason::First]));
    plain.event(Event::Started(&test));
    plain.event(Event::Output(&make, Stream::Stdout, b"half "));
    plain.event(Event::Output(&test, Stream::Stderr, b"\x1b[31mred\x1b[0m\r\n1%\r2%\xff\n"));
    plain.event(Event::Output(&make, Stream::Stderr, b"error\n"));
    plain.event(Event::Output(&make, Stream::Stdout, b"a line\nno end"));
    plain.event(Event::Fetched(&make, Fetched { requests: 2, bytes: 1500 }));
    plain.event(Event::Refused(&make, &fixture::refusal()));
    plain.event(Event::Failed(&make, secs(2)));
    plain.event(Event::Cancelled(&test, secs(1)));
    plain.event(Event::Cached(&copy));
    plain.event(Event::Began(Phase::of(PhaseKind::Push, "registry.example/app:1")));
    plain.event(Event::Ended(Phase::of(PhaseKind::Push, "registry.example/app:1"), secs(3)));
    plain.event(Event::Ended(Phase::only(PhaseKind::Sign), Duration::from_millis(10)));
    plain.event(Event::Warning("take care\x1b[2J"));
    assert_eq!(
        sheet.text(),
        "[build 3/4] RUN make\n\
         [build 3/4] runs because the build argument VERSION changed: 1.2 -> 1.3\n\
         [build 3/4] runs because its layer is gone\n\
         [test 2/4] RUN make test\n\
         [test 2/4] red\n[test 2/4] 1%\n[test 2/4] 2%\\xff\n\
         [build 3/4] error\n\
         [build 3/4] half a line\n\
         [build 3/4] network: 1.5 kB in 2 requests\n\
         [build 3/4] network: line 2: no connection to 'not-allowed.example': the policy does not allow this host\n\
         [build 3/4] network: help: allow it in touchmark.toml\n\
         [build 3/4] no end\n\
         [build 3/4] FAILED after 2.0s\n\
         [test 2/4] cancelled after 1.0s\n\
         [test 3/4] CACHED COPY a /b\n\
         => pushing registry.example/app:1\n\
         => pushing registry.example/app:1 done in 3.0s\n\
         warning: take care\\u{1b}[2J\n"
    );
}

#[test]
fn the_end_says_what_took_how_long_and_what_was_moved() {
    let sheet = Sheet::default();
    let plain = sheet.display();
    let make = fixture::origin("build", 3, 3, "RUN make");
    let copy = fixture::origin("stage-1", 2, 7, "COPY --from=build /app /app");
    let cached = fixture::origin("build", 2, 2, "WORKDIR /src");
    let (image, blob) = (fixture::image(), fixture::blob(48_500_000));
    plain.event(Event::Planned(&[&cached, &make, &copy]));
    plain.event(Event::Cached(&cached));
    plain.event(Event::Finished(&copy, Duration::from_millis(340)));
    plain.event(Event::Fetched(&make, Fetched { requests: 2, bytes: 1500 }));
    plain.event(Event::Finished(&make, Duration::from_secs(700)));
    for motion in [Motion::Began, Motion::Had(48_000_000), Motion::Moved(500_000), Motion::Done] {
        plain.event(fixture::transfer(Direction::Push, &image, &blob, motion));
    }
    let ledger = plain.close();
    let end = ledger.began() + Duration::from_millis(12_300);
    assert_eq!(
        super::super::summary::text(&ledger, &fixture::built(), end, usize::MAX),
        "=> built in 12.3s: 1 of 3 steps cached, 1.5 kB fetched by steps, 500.0 kB pushed\n   \
         [build 3/4]    11m40s  RUN make (1.5 kB fetched)\n   \
         [stage-1 2/4]    0.3s  COPY --from=build /app /app\n\
         => 48.5 MB in 5 layers"
    );
}
