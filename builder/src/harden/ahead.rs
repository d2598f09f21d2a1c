//! The base of an image is hardened while the steps on it still run. Mostly what they add changes nothing of
//! what becomes of the base; the image then finds its layers written.

use super::{HardenError, HardenOptions, LayerStore, Level, planned, survey::Survey, write};
use crate::oci::{descriptor::Descriptor, digest::Digest};

/// Hardens the lower `layers` of an image as if there were no others, as soon as [`Seen`](super::Seen) has
/// them all and the store too; what is written is remembered there. Blocks until then, or until
/// [`Seen::close`](super::Seen::close).
///
/// # Errors
/// See [`HardenError`]. Hardening the whole image tells them again.
pub fn ahead<S: LayerStore>(
    store: &S,
    layers: &[(Digest, Descriptor)],
    options: &HardenOptions,
) -> Result<(), HardenError> {
    if options.level != Level::Baseline || layers.is_empty() {
        return Ok(());
    }
    let (mut diff_ids, blobs): (Vec<Digest>, Vec<Descriptor>) = layers.iter().cloned().unzip();
    let Some(facts) = options.seen.wait(&diff_ids) else { return Ok(()) };
    let (plan, _) = planned(&facts, &Survey::of(&facts), options);
    drop(facts);
    write(store, &blobs, &mut diff_ids, &plan, options.epoch).map(drop)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{
        super::{
            bench::{Image, LayerBytes, layer},
            seen::Seen,
        },
        *,
    };
    use crate::layer::lookout::Lookout;

    fn image() -> Image {
        let base = layer(&[
            "d usr/",
            "d usr/bin/",
            "x usr/bin/nc netcat",
            "l usr/bin/netcat nc",
            "f etc/motd hello",
        ]);
        Image::new(&[base, layer(&["x usr/bin/server serves"])])
    }

    fn base(image: &Image) -> Vec<(Digest, Descriptor)> {
        vec![(image.config.rootfs.diff_ids[0], image.layers[0].clone())]
    }

    /// The base as it arrives.
    fn arrive(seen: &Seen, base: Digest, archive: &LayerBytes) {
        seen.look(&mut &archive.0[..]).unwrap().keep(base);
        seen.arrived(&[base]);
    }

    fn untouched(image: &Image) -> LayerBytes {
        let blob = image.store.open(&image.layers[0]).unwrap();
        let mut archive = LayerBytes(Vec::new());
        let mut reader = crate::layer::LayerReader::new(blob, None).unwrap();
        std::io::Read::read_to_end(&mut reader, &mut archive.0).unwrap();
        archive
    }

    #[test]
    fn the_image_finds_the_base_that_was_hardened_while_it_arrived() {
        let expected = image().harden().unwrap();
        let image = image();
        let base = base(&image);
        thread::scope(|scope| {
            let work = scope.spawn(|| ahead(&image.store, &base, &image.options));
            arrive(&image.options.seen, base[0].0, &untouched(&image));
            work.join().unwrap().unwrap();
        });
        assert_eq!(image.store.written(), 1);
        assert_eq!(image.harden().unwrap(), expected);
        assert_eq!(image.store.written(), 1, "and it is not written again");
    }

    #[test]
    fn a_base_that_does_not_arrive_is_not_waited_for() {
        let image = image();
        let base = base(&image);
        thread::scope(|scope| {
            let work = scope.spawn(|| ahead(&image.store, &base, &image.options));
            image.options.seen.close();
            work.join().unwrap().unwrap();
        });
        assert_eq!(image.store.written(), 0);
    }
}
