package import TenonCore
import TenonRaft
import TenonWire

/// The bytes of a survivor's report, little-endian.
///
///     magic 4 · version 2 · cluster 16 · epoch 8 · node 4 · name · folder · directory
///     tablet count 4 · tablets · CRC-32C of all before 4
extension SurvivorReport {
    private static let magic: UInt32 = 0x5352_4E54  // "TNRS"
    private static let formatVersion: UInt16 = 1
    private static let folderBytesMax = 64 << 10

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 4_096)
        writer.uint32(SurvivorReport.magic)
        writer.uint16(SurvivorReport.formatVersion)
        writer.identifier(cluster)
        writer.identifier(epoch)
        writer.identifier(node)
        writer.lengthPrefixed(name)
        writer.lengthPrefixed(folder)
        directory.encode(to: &writer)
        writer.uint32(UInt32(tablets.count))
        for tablet in tablets { tablet.encode(to: &writer) }
        writer.uint32(CRC32C(writer.bytes).rawValue)
        return writer.take()
    }

    /// - Throws: `DecodingError` unless the bytes are exactly one whole report.
    package init(decoding bytes: [UInt8]) throws(DecodingError) {
        var reader = try ByteReader.checked(
            bytes, magic: SurvivorReport.magic, version: SurvivorReport.formatVersion)
        cluster = try reader.identifier(ClusterID.self)
        epoch = try reader.identifier(Epoch.self)
        node = try reader.identifier(NodeID.self)
        name = try reader.lengthPrefixedText("name", atMost: Limits.nameBytesMax)
        folder = try reader.lengthPrefixedText("folder", atMost: SurvivorReport.folderBytesMax)
        directory = try Directory(from: &reader)
        tablets = []
        let count = try reader.count("tablets", itemBytes: 64, atMost: Directory.tabletsMax)
        for _ in 0..<count { tablets.append(try Tablet(from: &reader)) }
        try reader.finish()
    }
}

extension SurvivorReport.Tablet {
    private static let reasonBytesMax = 4_096
    private static let termsMax = 1 << 20

    /// Layout: tablet 8 · replica 8 · keyspace 4 · verdict 1 · reason · term 8 · commit 8 ·
    /// committed version 8 · last index 8 · last term 8 · last version 8 · term count 4 ·
    /// (index 8 · term 8)… · (flag 1, membership) · lower · (flag 1, upper).
    func encode(to writer: inout ByteWriter) {
        writer.identifier(tablet)
        writer.identifier(replica)
        writer.identifier(keyspace)
        switch verdict {
        case .whole: writer.uint8(0)
        case .damaged: writer.uint8(1)
        case .suspect: writer.uint8(2)
        }
        writer.lengthPrefixed(
            Array(verdict.reason.utf8.prefix(SurvivorReport.Tablet.reasonBytesMax)))
        writer.identifier(term)
        writer.identifier(commit)
        writer.identifier(committedVersion)
        writer.identifier(last.index)
        writer.identifier(last.term)
        writer.identifier(lastVersion)
        writer.uint32(UInt32(terms.count))
        for start in terms {
            writer.identifier(start.index)
            writer.identifier(start.term)
        }
        writer.flag(membership != nil)
        if let membership { writer.lengthPrefixed(membership.encoded()) }
        writer.lengthPrefixed(lower)
        writer.flag(upper != nil)
        if let upper { writer.lengthPrefixed(upper) }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        tablet = try reader.identifier(TabletID.self)
        replica = try reader.identifier(ReplicaID.self)
        keyspace = try reader.identifier(KeyspaceID.self)
        let kind = try reader.uint8()
        let reason = try reader.lengthPrefixedBytes(
            "reason", atMost: SurvivorReport.Tablet.reasonBytesMax)
        // A reason may have been cut in the middle of a letter.
        let text = String(decoding: reason.array, as: UTF8.self)
        switch kind {
        case 0: verdict = .whole
        case 1: verdict = .damaged(text)
        case 2: verdict = .suspect(text)
        default: throw .unknownKind(field: "verdict", value: UInt64(kind))
        }
        term = try reader.identifier(Term.self)
        commit = try reader.identifier(LogIndex.self)
        committedVersion = try reader.identifier(Timestamp.self)
        last = try reader.position()
        lastVersion = try reader.identifier(Timestamp.self)
        terms = []
        let count = try reader.count(
            "terms", itemBytes: 16, atMost: SurvivorReport.Tablet.termsMax)
        for _ in 0..<count {
            let start = try reader.position()
            terms.append(SurvivorReport.TermStart(index: start.index, term: start.term))
        }
        membership = try reader.flag("membership") ? try reader.membership() : nil
        lower = try reader.lengthPrefixedBytes("lower", atMost: Limits.keyBytesMax)
        upper =
            try reader.flag("upper")
            ? reader.lengthPrefixedBytes("upper", atMost: Limits.keyBytesMax) : nil
        guard !verdict.isWhole || membership != nil else {
            throw .malformed("a whole replica without a configuration")
        }
    }
}

extension ByteReader {
    /// Layout: index 8 · term 8.
    mutating func position() throws(DecodingError) -> LogPosition {
        let index = try identifier(LogIndex.self)
        return LogPosition(index: index, term: try identifier(Term.self))
    }

    /// Layout: length 4 · the payload of a configuration entry.
    mutating func membership() throws(DecodingError) -> Membership {
        try Membership(
            payload: try lengthPrefixedBytes("membership", atMost: 64 << 10).array)
    }
}
