//! RocksDB's options for a partition's state.

use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, LogLevel, Options, SliceTransform};

use super::StoreBudget;
use crate::state::ACTOR_KEY_LEN;

const KIB: usize = 1024;
const BLOCK_BYTES: usize = 16 * KIB;
/// A memtable's size; also about the amount of changelog that is read again after a crash.
const MEMTABLE_BYTES_MAX: usize = 16 * KIB * KIB;
/// Number of overlapping files that starts a compaction.
pub(super) const OVERLAPPING_FILES: i32 = 4;
/// The same for a restored state: together about a gigabyte, and fewer than make RocksDB slow down writes (20).
pub(super) const LOADED_FILES: i32 = 16;
const BLOOM_BITS_PER_KEY: f64 = 10.0;

pub(super) fn database_options(budget: &StoreBudget) -> Options {
    let mut options = table_options(Some(&budget.cache));
    options.create_if_missing(true);
    options.set_write_buffer_manager(&budget.buffers);
    options.set_write_buffer_size(MEMTABLE_BYTES_MAX);
    options.set_max_write_buffer_number(3);
    options.set_level_zero_file_num_compaction_trigger(OVERLAPPING_FILES);
    options.set_memtable_prefix_bloom_ratio(0.1);
    options.set_memtable_whole_key_filtering(true);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_max_background_jobs(2);
    options.set_max_open_files(budget.tables);
    options.set_bytes_per_sync(1 << 20);
    options.set_keep_log_file_num(2);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options
}

/// Options for files that are ingested. Most of a changelog is outdated: compaction soon drops it, and compresses the rest well.
pub(super) fn bulk_options() -> Options {
    let mut options = table_options(None);
    options.set_bottommost_compression_type(DBCompressionType::Lz4);
    options
}

/// Options that make a table file readable by the database.
fn table_options(cache: Option<&Cache>) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_size(BLOCK_BYTES);
    table.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    table.set_whole_key_filtering(true);
    table.set_cache_index_and_filter_blocks(true);
    table.set_cache_index_and_filter_blocks_with_high_priority(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    if let Some(cache) = cache {
        table.set_block_cache(cache);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_prefix_extractor(SliceTransform::create_fixed_prefix(ACTOR_KEY_LEN));
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options
}
