//! The end of a stripe: its index, its streams, its directory.
//!
//! | Part | What |
//! |---|---|
//! | index | of each column, where its row groups begin and what is in them; and their bloom filters |
//! | data | of each column, its streams |
//! | footer | which streams there are, in this order, and how each column is encoded |

use super::column::{Column, Ended};
use super::proto::{self, StreamKind, StripeFooter, StripeInformation, StripeStatistics};
use super::stream::Packer;
use crate::formats::{FormatError, Pieces};

/// A stripe that is out.
pub(super) struct Written {
    /// Lengths of its parts.
    pub(super) information: StripeInformation,
    pub(super) statistics: StripeStatistics,
    pub(super) bytes: u64,
}

/// Ends the stripe of `root` and what is below, and appends it.
pub(super) fn end(root: &mut Column, packer: &mut Packer, out: &mut Pieces) -> Result<Written, FormatError> {
    let mut columns = Vec::new();
    root.each(&mut |column| {
        columns.push(column.end_stripe());
        Ok(())
    })?;
    let mut footer = StripeFooter {
        columns: columns.iter().map(|ended| ended.encoding).collect(),
        writer_timezone: Some("UTC".to_owned()),
        ..StripeFooter::default()
    };
    let index_length = index(&columns, packer, out, &mut footer.streams)?;
    let data_length = data(root, &columns, packer, out, &mut footer.streams)?;
    let footer_length = packer.section(&footer, out)?;
    let information = StripeInformation {
        index_length: Some(index_length),
        data_length: Some(data_length),
        footer_length: Some(footer_length),
        ..StripeInformation::default()
    };
    let statistics = StripeStatistics { col_stats: columns.into_iter().map(|ended| ended.statistics).collect() };
    Ok(Written { information, statistics, bytes: index_length + data_length + footer_length })
}

fn index(
    columns: &[Ended],
    packer: &mut Packer,
    out: &mut Pieces,
    streams: &mut Vec<proto::Stream>,
) -> Result<u64, FormatError> {
    let mut bytes = 0;
    for (column, ended) in (0..).zip(columns) {
        let length = packer.section(&ended.index, out)?;
        streams.push(stream(StreamKind::RowIndex, column, length));
        bytes += length;
        if let Some(blooms) = &ended.blooms {
            let length = packer.section(blooms, out)?;
            streams.push(stream(StreamKind::BloomFilterUtf8, column, length));
            bytes += length;
        }
    }
    Ok(bytes)
}

fn data(
    root: &mut Column,
    columns: &[Ended],
    packer: &mut Packer,
    out: &mut Pieces,
    streams: &mut Vec<proto::Stream>,
) -> Result<u64, FormatError> {
    let mut bytes = 0;
    let mut columns = (0..).zip(columns);
    root.each(&mut |column| {
        let (number, present) = columns.next().map_or((0, true), |(number, ended)| (number, ended.present));
        for (kind, own) in column.streams() {
            own.end(packer)?;
            let length = own.packed_bytes();
            if kind == StreamKind::Present && !present {
                // Every row has a value, which need not be said.
                own.move_to(&mut Pieces::default());
                continue;
            }
            own.move_to(out);
            streams.push(stream(kind, number, length));
            bytes += length;
        }
        Ok(())
    })?;
    Ok(bytes)
}

fn stream(kind: StreamKind, column: u32, length: u64) -> proto::Stream {
    proto::Stream { kind: Some(kind.into()), column: Some(column), length: Some(length) }
}
