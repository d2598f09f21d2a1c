//! Two images, and the first thing in which they differ. `difference` is what is found; `json` compares
//! documents field by field, `layer` archives entry by entry and byte by byte, `image` goes from one to the other, `index`
//! puts images together that were built again.
//!
//! Absent: where images come from. Both are given as documents and readers.

pub mod difference;
pub mod image;
pub mod index;
mod json;
mod layer;

#[cfg(test)]
mod tests;
