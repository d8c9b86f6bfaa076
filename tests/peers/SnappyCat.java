import org.xerial.snappy.SnappyInputStream;

/** Unpacks a snappy-java stream from standard input to standard output. */
final class SnappyCat {
    public static void main(String[] arguments) throws Exception {
        try (SnappyInputStream packed = new SnappyInputStream(System.in)) {
            packed.transferTo(System.out);
        }
        System.out.flush();
    }
}
