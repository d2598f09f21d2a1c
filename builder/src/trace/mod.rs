//! A build as spans: a recorder beside the display hears every event, and what it heard is written for
//! chrome://tracing and Perfetto, sent to an OpenTelemetry collector, or told as the steps' times
//! (docs/trace.md). Nothing that a step writes gets here.

pub mod chrome;
pub mod collector;
mod lanes;
pub mod otlp;
pub mod recorder;
pub mod span;
pub mod step_times;
pub mod tee;
mod wire;
