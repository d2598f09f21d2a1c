//! The terminal behind standard error: its size, and the lines at its lower end that are drawn again and
//! again. The cursor is hidden meanwhile and comes back however the program ends.

use std::{
    io::{self, Write},
    panic,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::termios::tcgetwinsize;

use super::super::log_text;

const HIDE: &str = "\u{1b}[?25l";
const SHOW: &str = "\u{1b}[?25h";
/// Erase to the end of the line, and of the screen (ECMA-48, 8.3.41 and 8.3.39).
const END_OF_LINE: &str = "\u{1b}[K";
const END_OF_SCREEN: &str = "\u{1b}[J";

/// Is the cursor of standard error hidden? For a panic, which must show it again.
static HIDDEN: AtomicBool = AtomicBool::new(false);
static PANIC_HOOK: Once = Once::new();

/// Columns and rows of a terminal.
pub(super) type Size = (usize, usize);

/// The size of the terminal that `fd` is, as far as it says.
pub(super) fn size_of(fd: impl std::os::fd::AsFd) -> Option<Size> {
    let size = tcgetwinsize(fd).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// Text that goes up, and below it lines that are replaced.
pub(super) struct Terminal<W: Write> {
    out: W,
    /// The lines at the lower end, as they were drawn.
    drawn: Vec<String>,
    columns: usize,
    hidden: bool,
}

impl<W: Write> Terminal<W> {
    /// Nothing is drawn yet.
    pub(super) fn new(out: W) -> Self {
        PANIC_HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                show_cursor();
                before(info);
            }));
        });
        Self { out, drawn: Vec::new(), columns: 0, hidden: false }
    }

    /// Writes `above` for good, and below it `lines` in place of those that were there. One write; none
    /// where nothing changed.
    pub(super) fn draw(
        &mut self,
        above: &[u8],
        lines: Vec<String>,
        columns: usize,
    ) -> io::Result<()> {
        if above.is_empty() && lines == self.drawn && columns == self.columns {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(4096 + above.len());
        HIDDEN.store(true, Ordering::SeqCst);
        if !std::mem::replace(&mut self.hidden, true) {
            bytes.extend_from_slice(HIDE.as_bytes());
        }
        self.back_to_top(columns, &mut bytes);
        let same_place = above.is_empty() && columns == self.columns;
        if !above.is_empty() {
            bytes.extend_from_slice(END_OF_SCREEN.as_bytes());
            append_lines(above, &mut bytes);
        }
        for (at, line) in lines.iter().enumerate() {
            if !same_place || self.drawn.get(at) != Some(line) {
                bytes.extend_from_slice(line.as_bytes());
                // A full line leaves the cursor on its last column, which must not be erased.
                if log_text::columns_shown(line) < columns {
                    bytes.extend_from_slice(END_OF_LINE.as_bytes());
                }
            }
            bytes.extend_from_slice(b"\r\n");
        }
        if !same_place || lines.len() < self.drawn.len() {
            bytes.extend_from_slice(END_OF_SCREEN.as_bytes());
        }
        (self.drawn, self.columns) = (lines, columns);
        self.out.write_all(&bytes)?;
        self.out.flush()
    }

    /// Takes the lines away, writes `above` for good and shows the cursor.
    pub(super) fn close(&mut self, above: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.back_to_top(self.columns, &mut bytes);
        bytes.extend_from_slice(END_OF_SCREEN.as_bytes());
        append_lines(above, &mut bytes);
        HIDDEN.store(false, Ordering::SeqCst);
        if std::mem::take(&mut self.hidden) {
            bytes.extend_from_slice(SHOW.as_bytes());
        }
        self.drawn.clear();
        self.out.write_all(&bytes)?;
        self.out.flush()
    }

    /// To the first of the drawn lines. A terminal that became narrower has wrapped them.
    fn back_to_top(&self, columns: usize, bytes: &mut Vec<u8>) {
        let rows = |line: &String| match log_text::columns_shown(line) {
            wide if columns > 0 && wide > columns => wide.div_ceil(columns),
            _ => 1,
        };
        let rows: usize = self.drawn.iter().map(rows).sum();
        bytes.push(b'\r');
        if rows > 0 {
            bytes.extend_from_slice(format!("\u{1b}[{rows}A").as_bytes());
        }
    }
}

impl<W: Write> Drop for Terminal<W> {
    fn drop(&mut self) {
        if self.hidden {
            let _ = self.close(b"");
        }
    }
}

/// Line ends as a terminal in raw mode wants them, too.
fn append_lines(text: &[u8], bytes: &mut Vec<u8>) {
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                bytes.extend_from_slice(line);
                bytes.extend_from_slice(END_OF_LINE.as_bytes());
                bytes.extend_from_slice(b"\r\n");
            }
            None => bytes.extend_from_slice(line),
        }
    }
}

/// Shows the cursor again if it is hidden.
fn show_cursor() {
    if HIDDEN.swap(false, Ordering::SeqCst) {
        let _ = io::stderr().lock().write_all(format!("{SHOW}\r\n").as_bytes());
    }
}
