//! The one door to standard output and standard error: `printer` writes, `progress` tells a build as it
//! happens, `table` draws verdicts, `materials_table` what went into an image, `text` makes foreign names and messages harmless and `log_text` what
//! tools wrote, `paint` has our own colours, `json_lines` what programs read,
//! `surroundings` is what the environment says.

mod json_lines;
mod log_text;
pub(crate) mod materials_table;
mod paint;
pub(crate) mod printer;
pub(crate) mod progress;
pub(crate) mod surroundings;
pub(crate) mod table;
pub(crate) mod text;
