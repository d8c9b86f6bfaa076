import java.util.HashMap;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.orc.storage.ql.exec.vector.BytesColumnVector;
import org.apache.orc.storage.ql.exec.vector.ColumnVector;
import org.apache.orc.storage.ql.exec.vector.LongColumnVector;
import org.apache.orc.storage.ql.exec.vector.VectorizedRowBatch;
import org.apache.orc.storage.ql.io.sarg.PredicateLeaf;
import org.apache.orc.storage.ql.io.sarg.SearchArgument;
import org.apache.orc.storage.ql.io.sarg.SearchArgumentFactory;
import org.apache.orc.*;

/**
 * What ORC's own Java reader makes of files: `OrcLook FILE…`. Prints, tab-separated,
 *
 * statistics FILE stripe|file NUMBER COLUMN values has-null minimum maximum sum|trues
 * rows FILE STRIPE rows
 * seek FILE COLUMN VALUE rows-read rows-with-the-value
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

    static void seeks(String file, Reader reader) throws Exception {
        Map<Long, String> all = new HashMap<>();
        String[] words = new String[(int) reader.getNumberOfRows()];
        read(reader, reader.options(), (id, row, word) -> { all.put(id, row); words[(int) id] = word; });
        for (long id : new long[] {0, 999, 1000, reader.getNumberOfRows() / 2 + 1, reader.getNumberOfRows() - 1}) {
            seek(file, reader, "id", PredicateLeaf.Type.LONG, id, all, words);
            if (words[(int) id] != null) seek(file, reader, "word", PredicateLeaf.Type.STRING, words[(int) id], all, words);
        }
        // Between the least and the most word, so that only a bloom filter can tell that it is not there.
        for (int at = 0; at < 5; at++) seek(file, reader, "word", PredicateLeaf.Type.STRING, "a word not there " + at, all, words);
    }

    static void seek(String file, Reader reader, String column, PredicateLeaf.Type type, Object value, Map<Long, String> all, String[] words) throws Exception {
        SearchArgument wanted = SearchArgumentFactory.newBuilder().equals(column, type, value).build();
        int[] count = new int[2];
        read(reader, reader.options().searchArgument(wanted, new String[] {column}), (id, row, word) -> {
            if (!row.equals(all.get(id))) throw new IllegalStateException(file + ": row " + id + " is " + row + " in place of " + all.get(id));
            count[0]++;
            if (value.equals(column.equals("id") ? (Object) id : word)) count[1]++;
        });
        System.out.println(line("seek", file, column, value instanceof String text ? hex(text) : value, count[0], count[1]));
    }

    interface Row {
        void is(long id, String row, String word);
    }

    static void read(Reader reader, Reader.Options options, Row each) throws Exception {
        int word = reader.getSchema().getFieldNames().indexOf("word");
        try (RecordReader rows = reader.rows(options.allowSARGToFilter(false))) {
            VectorizedRowBatch batch = reader.getSchema().createRowBatch();
            while (rows.nextBatch(batch)) {
                for (int at = 0; at < batch.size; at++) {
                    StringBuilder text = new StringBuilder();
                    for (ColumnVector column : batch.cols) {
                        column.stringifyValue(text, at);
                        text.append(' ');
                    }
                    LongColumnVector ids = (LongColumnVector) batch.cols[0];
                    BytesColumnVector texts = (BytesColumnVector) batch.cols[word];
                    int same = texts.isRepeating ? 0 : at;
                    String own = !texts.noNulls && texts.isNull[same] ? null : texts.toString(same);
                    each.is(ids.vector[ids.isRepeating ? 0 : at], text.toString(), own);
                }
            }
        }
    }

    static String line(Object... parts) {
        String[] texts = new String[parts.length];
        for (int at = 0; at < parts.length; at++) texts[at] = parts[at] == null ? "-" : parts[at].toString();
        return String.join("\t", texts);
    }
}
