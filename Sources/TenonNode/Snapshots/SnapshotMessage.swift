import TenonCore
import TenonStore

/// What travels on a bulk stream.
///
/// Layout: kind 1 · tablet 8 · transfer 8 · (manifest | chunk number 8, chunk).
enum SnapshotMessage {
    case begin(SnapshotManifest)
    case chunk(number: UInt64, SnapshotChunk)

    func encode(tablet: TabletID, transfer: UInt64, to writer: inout ByteWriter) {
        switch self {
        case .begin: writer.uint8(1)
        case .chunk: writer.uint8(2)
        }
        writer.identifier(tablet)
        writer.uint64(transfer)
        switch self {
        case .begin(let manifest): manifest.encode(to: &writer)
        case .chunk(let number, let chunk):
            writer.uint64(number)
            chunk.encode(to: &writer)
        }
    }

    static func decode(
        from body: Bytes
    ) throws(DecodingError) -> (tablet: TabletID, transfer: UInt64, message: SnapshotMessage) {
        var reader = ByteReader(body)
        let kind = try reader.uint8()
        let tablet = try reader.identifier(TabletID.self)
        let transfer = try reader.uint64()
        let message: SnapshotMessage
        switch kind {
        case 1: message = .begin(try SnapshotManifest(from: &reader))
        case 2:
            let number = try reader.uint64()
            message = .chunk(number: number, try SnapshotChunk(from: &reader))
        default: throw .unknownKind(field: "snapshot message", value: UInt64(kind))
        }
        try reader.finish()
        return (tablet, transfer, message)
    }
}

/// Names a snapshot on its way: who is at the other end, and which try it is.
struct SnapshotKey: Hashable {
    var tablet: TabletID
    var peer: NodeID
    var transfer: UInt64
}
