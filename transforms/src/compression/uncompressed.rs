//! UNCOMPRESSED: the records, one after the other. A caller that can hand its slices on need not come here.

use hydrant_model::Compression;

use crate::compression::{Codec, Encoder, Error};

/// UNCOMPRESSED.
pub const CODEC: Codec = Codec {
    compression: Compression::Uncompressed,
    memory_bytes: |_| 0,
    most_bytes: |input| input,
    open: |_| Ok(Box::new(Uncompressed)),
};

struct Uncompressed;

impl Encoder for Uncompressed {
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(input);
        Ok(())
    }

    fn finish(self: Box<Self>, _out: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }
}
