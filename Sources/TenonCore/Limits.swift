/// Bounds that every part of the house shares. Each is checked before anything is proposed.
public enum Limits {
    /// The longest key, in bytes.
    public static let keyBytesMax = 64 << 10
    /// The longest value, in bytes.
    public static let valueBytesMax = 4 << 20
    /// Operations of one transaction, conditions included.
    public static let transactionOperationsMax = 4_096
    /// Bytes of one transaction's encoded command.
    public static let transactionBytesMax = 8 << 20
    /// Keys of one `getMany`.
    public static let getManyKeysMax = 4_096
    /// Items of one page of a scan.
    public static let scanItemsMax = 10_000
    /// Bytes of keys and values of one page of a scan; the page ends before it passes them, but
    /// holds one item at least.
    public static let scanBytesMax = 4 << 20
    /// Bytes of any encoded command: two of the longest values, as in a put on condition of
    /// another value, and room for keys, session and tagged fields. What stands alone in an
    /// entry is bounded by it, so the log's smallest segment is, too.
    package static let commandBytesMax = 2 * valueBytesMax + (128 << 10)
    /// Commands of one entry (Rule S6).
    package static let entryCommandsMax = 4_096
    /// Bytes at which an entry closes (Rule S6); a single larger command stands alone.
    package static let entryBytesMax = 1 << 20
    /// The longest frame on the wire, in bytes: a transaction or a page, and its headers.
    package static let frameBytesMax = 16 << 20
    /// The longest name of a node or a keyspace, in bytes.
    package static let nameBytesMax = 128
    /// The longest address of a node, `HOST:PORT`, in bytes.
    package static let addressBytesMax = 1_024
    /// The longest locality of a node, in bytes.
    package static let localityBytesMax = 1_024
}
