//! An image index out of images that were built again.

use std::{collections::BTreeMap, io};

use crate::oci::{descriptor::Descriptor, digest::Digest, manifest::Index};

/// The index as it is with these images, by the digest of the one that each stands for. Annotations are those that
/// the recorded index shows: they are no product of a build.
///
/// # Errors
/// The recorded one is no index, or lists something that was not built again.
pub fn rebuilt_index(
    recorded: &[u8],
    images: &BTreeMap<Digest, Descriptor>,
) -> io::Result<Vec<u8>> {
    let mut index: Index = serde_json::from_slice(recorded)?;
    for entry in &mut index.manifests {
        let image = images.get(&entry.digest).ok_or_else(|| {
            io::Error::other(format!("the index lists {}, which was not built again", entry.digest))
        })?;
        entry.media_type.clone_from(&image.media_type);
        (entry.digest, entry.size) = (image.digest, image.size);
    }
    Ok(serde_json::to_vec(&index)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{manifest::Manifest, media_type, platform::Platform};

    #[test]
    fn the_same_images_give_the_same_index_and_another_one_another() {
        let image = |bytes: &[u8]| Descriptor::of(media_type::MANIFEST, bytes);
        let entry = |platform: &str, bytes: &[u8]| Descriptor {
            platform: Some(platform.parse::<Platform>().unwrap()),
            annotations: [("a".to_owned(), "b".to_owned())].into(),
            ..image(bytes)
        };
        let index = Index::new(vec![entry("linux/amd64", b"1"), entry("linux/arm/v7", b"2")]);
        let recorded = serde_json::to_vec(&index).unwrap();
        let images = |second: &[u8]| {
            [(Digest::of(b"1"), image(b"1")), (Digest::of(b"2"), image(second))].into()
        };
        assert_eq!(rebuilt_index(&recorded, &images(b"2")).unwrap(), recorded);
        let other = rebuilt_index(&recorded, &images(b"three")).unwrap();
        let other: Index = serde_json::from_slice(&other).unwrap();
        assert_eq!(other.manifests[1].digest, Digest::of(b"three"));
        assert_eq!((other.manifests[1].size, &other.manifests[0]), (5, &index.manifests[0]));
        let missing = BTreeMap::from([(Digest::of(b"1"), image(b"1"))]);
        assert!(rebuilt_index(&recorded, &missing).is_err());
        let manifest = serde_json::to_vec(&Manifest::image(image(b"c"), Vec::new())).unwrap();
        assert!(rebuilt_index(&manifest, &missing).is_err());
    }
}
