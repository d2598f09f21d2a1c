//! What there is to export: everything that was made in one form.

use super::release::Release;
use crate::image::form::Form;

/// The result in one form.
#[derive(Debug, Clone)]
pub struct Product {
    /// The form.
    pub form: Form,
    /// The image, or the images of all platforms, with what stands beside them.
    pub release: Release,
}
