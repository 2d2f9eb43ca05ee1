internal import TenonCore
internal import TenonStore

/// The payload of a tablet's flush record (Rule L5):
/// ```
/// format 2 · reserved 2 · tablet 8 · last version 8 · history floor 8 · session floor 8
/// · log digest 8 · configuration length 4 · configuration (opaque here)
/// · generation 8 · lower · (flag 1, upper) · (flag 1, last split)
/// ```
/// Format 1 ends with the configuration: such a tablet has the bounds that it was made with.
struct FlushedState {
    /// What a split changes.
    struct Extent {
        var bounds: KeyInterval
        var generation: Generation
        var lastSplit: AppliedSplit?
    }

    var tablet: TabletID
    var lastVersion: Timestamp
    var historyFloor: Timestamp
    var sessionFloor: Timestamp
    var logDigest: Digest
    var configuration: Bytes
    /// Nil in format 1.
    var extent: Extent?

    private static let format: UInt16 = 2

    func encoded() -> Bytes {
        var writer = ByteWriter(capacity: 96 + configuration.count)
        writer.uint16(extent == nil ? 1 : FlushedState.format)
        writer.uint16(0)
        writer.identifier(tablet)
        writer.identifier(lastVersion)
        writer.identifier(historyFloor)
        writer.identifier(sessionFloor)
        writer.uint64(logDigest.value)
        writer.lengthPrefixed(configuration)
        extent?.encode(to: &writer)
        return Bytes(writer.take())
    }

    init(_ state: StateMachine, configuration: Bytes) {
        tablet = state.tablet
        lastVersion = state.lastVersion
        historyFloor = state.historyFloor
        sessionFloor = state.sessionFloor
        logDigest = state.logDigest
        self.configuration = configuration
        extent = Extent(
            bounds: state.bounds, generation: state.generation, lastSplit: state.lastSplit)
    }

    init(_ payload: Bytes) throws(DecodingError) {
        var reader = ByteReader(payload)
        let format = try reader.uint16()
        guard format == 1 || format == FlushedState.format else {
            throw .unknownKind(field: "flush record format", value: UInt64(format))
        }
        guard try reader.uint16() == 0 else { throw .malformed("reserved bytes of a flush record") }
        tablet = try reader.identifier(TabletID.self)
        lastVersion = try reader.identifier(Timestamp.self)
        historyFloor = try reader.identifier(Timestamp.self)
        sessionFloor = try reader.identifier(Timestamp.self)
        logDigest = Digest(value: try reader.uint64())
        configuration = try reader.lengthPrefixedBytes(
            "configuration", atMost: FlushRecord.payloadBytesMax)
        if format == FlushedState.format { extent = try Extent(from: &reader) }
        try reader.finish()
    }
}

extension FlushedState.Extent {
    fileprivate func encode(to writer: inout ByteWriter) {
        writer.identifier(generation)
        writer.lengthPrefixed(bounds.lower)
        writer.flag(bounds.upper != nil)
        if let upper = bounds.upper { writer.lengthPrefixed(upper) }
        writer.flag(lastSplit != nil)
        lastSplit?.encode(to: &writer)
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        generation = try reader.identifier(Generation.self)
        let lower = try reader.lengthPrefixedBytes("lower", atMost: Limits.keyBytesMax)
        let upper =
            try reader.flag("upper")
            ? try reader.lengthPrefixedBytes("upper", atMost: Limits.keyBytesMax) : nil
        bounds = KeyInterval(lower: lower.compacted(), upper: upper?.compacted())
        guard !bounds.isEmpty else { throw .malformed("a tablet without keys") }
        lastSplit = try reader.flag("split") ? try AppliedSplit(from: &reader) : nil
    }
}
