import java.util.HashMap;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.orc.storage.ql.exec.vector.BytesColumnVector;
import org.apache.orc.storage.ql.exec.vector.ColumnVector;
import org.apache.orc.storage.ql.exec.vector.DecimalColumnVector;
import org.apache.orc.storage.ql.exec.vector.DoubleColumnVector;
import org.apache.orc.storage.ql.exec.vector.LongColumnVector;
import org.apache.orc.storage.ql.exec.vector.TimestampColumnVector;
import org.apache.orc.storage.ql.exec.vector.VectorizedRowBatch;
import org.apache.orc.storage.ql.io.sarg.PredicateLeaf;
import org.apache.orc.storage.ql.io.sarg.SearchArgument;
import org.apache.orc.storage.ql.io.sarg.SearchArgumentFactory;
import org.apache.orc.storage.serde2.io.HiveDecimalWritable;
import org.apache.orc.*;

/**
 * What ORC's own Java reader makes of files: `OrcLook FILE…`. Prints, tab-separated,
 *
 * statistics FILE stripe|file NUMBER COLUMN values has-null minimum maximum sum|trues
 * rows FILE STRIPE rows
 * seek FILE COLUMN VALUE rows-read rows-with-the-value (of id and word)
 *
 * and fails where a row that it seeks is not the row that reading everything gives.
 */
public class OrcLook {
    public static void main(String[] files) throws Exception {
        for (String file : files) {
            try (Reader reader = OrcFile.createReader(new Path(file), OrcFile.readerOptions(new Configuration()).useUTCTimestamp(true))) {
                statistics(file, "file", 0, reader.getSchema(), reader.getStatistics());
                int stripe = 0;
                for (StripeStatistics of : reader.getStripeStatistics()) {
                    System.out.println(line("rows", file, stripe, reader.getStripes().get(stripe).getNumberOfRows()));
                    statistics(file, "stripe", stripe++, reader.getSchema(), of.getColumnStatistics());
                }
                seeks(file, reader);
            }
        }
    }

    static void statistics(String file, String of, int number, TypeDescription schema, ColumnStatistics[] all) {
        for (String name : schema.getFieldNames()) {
            ColumnStatistics one = all[schema.findSubtype(name).getId()];
            Object least = null, most = null, sum = null;
            if (one instanceof IntegerColumnStatistics it && it.getNumberOfValues() > 0) {
                least = it.getMinimum(); most = it.getMaximum(); sum = it.isSumDefined() ? it.getSum() : null;
            } else if (one instanceof StringColumnStatistics it) {
                least = hex(it.getMinimum()); most = hex(it.getMaximum()); sum = it.getSum();
            } else if (one instanceof DateColumnStatistics it && it.getNumberOfValues() > 0) {
                least = it.getMinimumDayOfEpoch(); most = it.getMaximumDayOfEpoch();
            } else if (one instanceof DecimalColumnStatistics it) {
                least = it.getMinimum(); most = it.getMaximum();
            } else if (one instanceof TimestampColumnStatistics it && it.getNumberOfValues() > 0) {
                least = nanos(it.getMinimumUTC()); most = nanos(it.getMaximumUTC());
            } else if (one instanceof BooleanColumnStatistics it) {
                sum = it.getTrueCount();
            } else if (one instanceof BinaryColumnStatistics it) {
                sum = it.getSum();
            } else if (one instanceof CollectionColumnStatistics it) {
                least = it.getMinimumChildren(); most = it.getMaximumChildren(); sum = it.getTotalChildren();
            }
            System.out.println(line("statistics", file, of, number, name, one.getNumberOfValues(), one.hasNull(), least, most, sum));
        }
    }

    static Object nanos(java.sql.Timestamp at) {
        return Math.addExact(Math.multiplyExact(Math.floorDiv(at.getTime(), 1000L), 1_000_000_000L), at.getNanos());
    }

    static String hex(String text) {
        return text == null ? null : java.util.HexFormat.of().formatHex(text.getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }

    /** Columns with a bloom filter, one of each type that can have one. */
    static final String[] BLOOMED = {"tiny", "small", "whole", "real", "exact", "price", "huge", "letters", "title", "day", "moment"};

    static void seeks(String file, Reader reader) throws Exception {
        Map<Long, String> all = new HashMap<>();
        Map<Long, Object[]> probes = new HashMap<>();
        long last = reader.getNumberOfRows() - 1;
        read(reader, reader.options(), (id, batch, at) -> {
            all.put(id, text(batch, at));
            if (id == 1 || id % 10_007 == 0 || id == last) {
                Object[] values = new Object[batch.cols.length];
                for (int column = 0; column < values.length; column++) values[column] = value(reader, batch.cols[column], column, at);
                probes.put(id, values);
            }
        });
        for (Map.Entry<Long, Object[]> probe : probes.entrySet()) {
            seek(file, reader, "id", probe.getKey(), probe.getKey(), all);
            Object word = probe.getValue()[column(reader, "word")];
            if (word != null) seek(file, reader, "word", word, probe.getKey(), all);
            // A row must never be missed for what the index or a filter says.
            for (String name : BLOOMED) {
                Object value = probe.getValue()[column(reader, name)];
                if (value != null) find(file, reader, name, value, probe.getKey());
            }
        }
        // Between the least and the most word, so that only a bloom filter can tell that it is not there.
        for (int at = 0; at < 5; at++) seek(file, reader, "word", "a word not there " + at, -1, all);
    }

    static int column(Reader reader, String name) {
        return reader.getSchema().getFieldNames().indexOf(name);
    }

    /** Of a column with a bloom filter, as search arguments want it; null for null and for the other types. */
    static Object value(Reader reader, ColumnVector vector, int column, int row) {
        int at = vector.isRepeating ? 0 : row;
        if (!vector.noNulls && vector.isNull[at]) return null;
        boolean date = reader.getSchema().getChildren().get(column).getCategory() == TypeDescription.Category.DATE;
        if (vector instanceof DecimalColumnVector it) return new HiveDecimalWritable(it.vector[at]);
        if (vector instanceof TimestampColumnVector it) return it.asScratchTimestamp(at).clone();
        if (vector instanceof DoubleColumnVector it) return it.vector[at];
        if (vector instanceof LongColumnVector it) return date ? new java.sql.Date(it.vector[at] * 86_400_000L) : (Object) it.vector[at];
        if (vector instanceof BytesColumnVector it) return it.toString(at);
        return null;
    }

    static RecordReader seeking(Reader reader, String column, Object value) throws Exception {
        PredicateLeaf.Type type = value instanceof Long ? PredicateLeaf.Type.LONG
            : value instanceof Double ? PredicateLeaf.Type.FLOAT
            : value instanceof HiveDecimalWritable ? PredicateLeaf.Type.DECIMAL
            : value instanceof java.sql.Timestamp ? PredicateLeaf.Type.TIMESTAMP
            : value instanceof java.sql.Date ? PredicateLeaf.Type.DATE
            : PredicateLeaf.Type.STRING;
        SearchArgument wanted = SearchArgumentFactory.newBuilder().equals(column, type, value).build();
        return reader.rows(reader.options().searchArgument(wanted, new String[] {column}).allowSARGToFilter(false));
    }

    static void seek(String file, Reader reader, String column, Object value, long probe, Map<Long, String> all) throws Exception {
        int[] count = new int[2];
        boolean[] found = new boolean[1];
        read(reader, seeking(reader, column, value), (id, batch, at) -> {
            String row = text(batch, at);
            if (!row.equals(all.get(id))) throw new IllegalStateException(file + ": row " + id + " is " + row + " in place of " + all.get(id));
            int number = column(reader, column);
            count[0]++;
            if (value.equals(value(reader, batch.cols[number], number, at))) count[1]++;
            found[0] |= id == probe;
        });
        if (probe >= 0 && !found[0]) throw new IllegalStateException(file + ": " + column + " = " + value + " does not find row " + probe);
        System.out.println(line("seek", file, column, value instanceof String text ? hex(text) : value, count[0], count[1]));
    }

    static void find(String file, Reader reader, String column, Object value, long probe) throws Exception {
        boolean[] found = new boolean[1];
        int[] count = new int[1];
        read(reader, seeking(reader, column, value), (id, batch, at) -> {
            found[0] |= id == probe;
            count[0]++;
        });
        if (!found[0]) throw new IllegalStateException(file + ": " + column + " = " + value + " does not find row " + probe);
        System.out.println(line("found", file, column, probe, count[0]));
    }

    interface Row {
        void is(long id, VectorizedRowBatch batch, int at);
    }

    static void read(Reader reader, Reader.Options options, Row each) throws Exception {
        read(reader, reader.rows(options), each);
    }

    static void read(Reader reader, RecordReader reading, Row each) throws Exception {
        try (RecordReader rows = reading) {
            VectorizedRowBatch batch = reader.getSchema().createRowBatch();
            while (rows.nextBatch(batch)) {
                for (int at = 0; at < batch.size; at++) {
                    LongColumnVector ids = (LongColumnVector) batch.cols[0];
                    each.is(ids.vector[ids.isRepeating ? 0 : at], batch, at);
                }
            }
        }
    }

    static String text(VectorizedRowBatch batch, int at) {
        StringBuilder text = new StringBuilder();
        for (ColumnVector column : batch.cols) {
            column.stringifyValue(text, at);
            text.append(' ');
        }
        return text.toString();
    }

    static String line(Object... parts) {
        String[] texts = new String[parts.length];
        for (int at = 0; at < parts.length; at++) texts[at] = parts[at] == null ? "-" : parts[at].toString();
        return String.join("\t", texts);
    }
}
