//! Any text is a Dockerfile or a list of faults, each of which can be shown; a Dockerfile is a graph or
//! such a list, whatever its base images are.

use touchmark_builder::{
    dockerfile::{Diagnostic, Dockerfile, excerpt},
    graph::{BaseConfigs, BaseImage, BuildOptions, base_images, base_images_with, lower},
    oci::config::ImageConfig,
};

fn configs(images: &[BaseImage]) -> BaseConfigs {
    let config = |image: &BaseImage| {
        let mut config = ImageConfig::scratch(&image.platform);
        config.config.env = vec!["PATH=/base/bin".into(), "BASE".into()];
        // Triggers are text of whoever made the base image.
        let trigger = image.reference.repository().rsplit('/').next().unwrap_or_default();
        config.config.on_build = vec![trigger.replace(['_', '-'], " "), "COPY --from=b a b".into()];
        config
    };
    let key = |image: &BaseImage| (image.reference.to_string(), image.platform.to_string());
    images.iter().filter(|image| image.is_base).map(|image| (key(image), config(image))).collect()
}

fn build(text: &str) -> Result<(), Vec<Diagnostic>> {
    let file = Dockerfile::parse(text)?;
    let mut options = BuildOptions::new("linux/amd64".parse().expect("a platform"));
    options.build_args.insert("A".into(), Some("1".into()));
    let images = base_images(&file, &options)?;
    let images = base_images_with(&file, &options, &configs(&images))?;
    lower(&file, &options, &configs(&images)).map(drop)
}

/// Tries one input.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(faults) = build(text) {
        assert!(!faults.is_empty());
        for fault in &faults {
            let _ = excerpt("Dockerfile", text, fault);
        }
    }
}
