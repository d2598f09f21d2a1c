//! What the live display writes, as a terminal shows it.

use std::sync::atomic::{AtomicUsize, Ordering};

use touchmark_builder::executor::Stream;

use super::{super::fixture, *};

/// A terminal that remembers each write.
#[derive(Clone)]
struct Model {
    parser: Arc<Mutex<vt100::Parser>>,
    writes: Arc<AtomicUsize>,
    columns: Arc<AtomicUsize>,
}

impl Write for Model {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.parser.lock().unwrap().process(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Model {
    fn new() -> Self {
        let parser = Arc::new(Mutex::new(vt100::Parser::new(20, 60, 100)));
        Self { parser, writes: Arc::default(), columns: Arc::new(AtomicUsize::new(60)) }
    }

    fn display(&self) -> Tty {
        let columns = self.columns.clone();
        let size = move || (columns.load(Ordering::SeqCst), 20);
        let screen =
            Screen { out: Box::new(self.clone()), size: Box::new(size), paint: Paint::new(true) };
        Tty::new(screen, fixture::dockerfile())
    }

    fn resize(&self, columns: u16) {
        self.columns.store(columns.into(), Ordering::SeqCst);
        self.parser.lock().unwrap().screen_mut().set_size(20, columns);
    }

    fn lines(&self) -> Vec<String> {
        let text = self.parser.lock().unwrap().screen().contents();
        text.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Waits until the screen shows a line that begins so.
    fn until(&self, begin: &str) -> Vec<String> {
        for _ in 0..200 {
            let lines = self.lines();
            if lines.iter().any(|line| line.starts_with(begin)) {
                return lines;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("never shown: {begin}\n{:#?}", self.lines());
    }

    fn cursor_is_hidden(&self) -> bool {
        self.parser.lock().unwrap().screen().hide_cursor()
    }
}

#[test]
fn what_is_done_goes_up_and_what_runs_stays_below() {
    let model = Model::new();
    let tty = model.display();
    let cached = fixture::origin("build", 2, 2, "WORKDIR /src");
    let make = fixture::origin("build", 3, 3, "RUN make");
    let test = fixture::origin("test", 2, 6, "RUN make test");
    tty.event(Event::Planned(&[&cached, &make, &test]));
    tty.event(Event::Cached(&cached));
    tty.event(Event::Started(&make));
    tty.event(Event::Started(&test));
    tty.event(Event::Output(&make, Stream::Stdout, b"\x1b[31mcc\x1b[0m main.c\x1b[2J\x1b[H\n"));
    tty.event(Event::Output(&test, Stream::Stdout, b"ok 1\nok 2"));
    let lines = model.until("    | ok 2");
    assert_eq!(lines[0], format!("{:<54}CACHED", " => [build 2/4] WORKDIR /src"));
    assert!(lines[1].starts_with(" => [build 3/4] RUN make  "), "{lines:#?}");
    assert_eq!(lines[2], "    | cc main.c");
    assert!(lines[3].starts_with(" => [test 2/4] RUN make test  "));
    assert_eq!(lines[4..6], ["    | ok 1", "    | ok 2"]);
    assert!(lines[6].starts_with("building 0."), "{lines:#?}");
    assert!(model.cursor_is_hidden());
    tty.event(Event::Finished(&test, Duration::from_millis(1500)));
    tty.event(Event::Failed(&make, Duration::from_secs(2)));
    drop(tty);
    assert_eq!(
        model.lines(),
        [
            format!("{:<54}CACHED", " => [build 2/4] WORKDIR /src"),
            format!("{:<56}1.5s", " => [test 2/4] RUN make test"),
            format!("{:<49}FAILED 2.0s", " => [build 3/4] RUN make"),
            "[build 3/4] cc main.c".to_owned(),
        ]
    );
    assert!(!model.cursor_is_hidden(), "the cursor did not come back");
}

#[test]
fn a_terminal_that_becomes_narrower_is_drawn_anew() {
    let model = Model::new();
    let tty = model.display();
    let make = fixture::origin("build", 3, 3, "RUN make all the things that there are to make");
    tty.event(Event::Planned(&[&make]));
    tty.event(Event::Started(&make));
    model.until("building");
    model.resize(40);
    model.until(" => [build 3/4] RUN make all the t…");
    model.resize(70);
    let wide = " => [build 3/4] RUN make all the things that there are to make  ";
    model.until(wide);
    tty.event(Event::Finished(&make, Duration::from_secs(1)));
    drop(tty);
    let last = model.lines().pop().unwrap();
    assert!(last.starts_with(wide) && last.ends_with("1.0s"), "{last}");
}

#[test]
fn a_flood_of_output_is_drawn_ten_times_a_second() {
    let model = Model::new();
    let tty = model.display();
    let make = fixture::origin("build", 3, 3, "RUN make");
    tty.event(Event::Started(&make));
    let began = Instant::now();
    let line = [b'x'; 1000];
    while began.elapsed() < Duration::from_millis(550) {
        tty.event(Event::Output(&make, Stream::Stdout, &line));
        tty.event(Event::Output(&make, Stream::Stdout, b"\n"));
    }
    let frames = began.elapsed().as_millis() / 100 + 2;
    drop(tty);
    let writes = model.writes.load(Ordering::SeqCst);
    assert!((writes as u128) <= frames, "{writes} writes, at most {frames} were expected");
}
