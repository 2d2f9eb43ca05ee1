package import TenonCore

/// An order to a node that runs with `--enable-fault-injection`: bring this fault about in
/// yourself. A later order about the same thing takes the place of the earlier one.
package struct FaultOrder: Hashable, Sendable {
    /// What is to be faulty.
    package var fault: Fault
    /// The fault ends by itself after so many milliseconds; 0 = when faults are cleared.
    package var milliseconds: UInt32

    package init(_ fault: Fault, milliseconds: UInt32 = 0) {
        self.fault = fault
        self.milliseconds = milliseconds
    }

    /// What can be made faulty.
    package enum Fault: Hashable, Sendable {
        /// What this node sends to another.
        case link(LinkDisorder)
        /// Requests of clients are swallowed, and nothing is answered: silence.
        case clientsCut
        case disk(DiskDisorder)
        /// The wall clock only: no protocol timer may go by it.
        case clock(ClockDisorder)
    }
}

/// What happens to the frames that a node sends to a peer, on both streams. What the peer sends
/// back on links of its own is not touched.
package struct LinkDisorder: Hashable, Sendable {
    /// 0 = all peers.
    package var peer: NodeID
    /// Each frame arrives so much later.
    package var delayMilliseconds: UInt32 = 0
    /// And at most so much more, by chance. Frames do not overtake one another: TCP keeps order.
    package var jitterMilliseconds: UInt32 = 0
    /// Of a thousand frames so many are lost.
    package var lossPerMille: UInt16 = 0
    /// 0 = no cap.
    package var bytesPerSecond: UInt64 = 0
    /// Nothing passes, and nothing is reset; no new connection comes about.
    package var isCut = false

    package init(peer: NodeID) { self.peer = peer }

    /// One that lets nothing through.
    package static func cut(to peer: NodeID) -> LinkDisorder {
        var fault = LinkDisorder(peer: peer)
        fault.isCut = true
        return fault
    }

    /// The bound of delay and jitter.
    package static let millisecondsMax: UInt32 = 60_000
}

/// What is wrong with a node's disk.
package struct DiskDisorder: Hashable, Sendable {
    /// What goes wrong.
    package enum Kind: Hashable, Sendable {
        /// Every sync takes so many milliseconds longer.
        case stall(milliseconds: UInt32)
        /// No write and no sync ends until the fault does.
        case hang
        /// The next write or sync fails with EIO, once.
        case fail
        /// What would take more room on the disk fails with ENOSPC.
        case fill
    }

    package var kind: Kind
    /// The node's log alone, not its tables.
    package var isLogOnly: Bool

    package init(_ kind: Kind, isLogOnly: Bool = false) {
        self.kind = kind
        self.isLogOnly = isLogOnly
    }

    /// The bound of a stall; longer ones are hangs.
    package static let stallMillisecondsMax: UInt32 = 60_000
}

/// What is wrong with a node's wall clock.
package struct ClockDisorder: Hashable, Sendable {
    /// It is so far ahead (behind, when negative) from now on.
    package var shiftMilliseconds: Int64
    /// And gains (loses) so many microseconds a second.
    package var driftPartsPerMillion: Int32

    package init(shiftMilliseconds: Int64, driftPartsPerMillion: Int32 = 0) {
        self.shiftMilliseconds = shiftMilliseconds
        self.driftPartsPerMillion = driftPartsPerMillion
    }

    /// A century: what a clock may be wrong by at most.
    package static let shiftMillisecondsMax: Int64 = 100 * 366 * 86_400_000
    /// A tenth.
    package static let driftPartsPerMillionMax: Int32 = 100_000
}

extension FaultOrder {
    /// Layout: milliseconds 4 · kind 1 (link 1, clients 2, disk 3, clock 4) · body.
    func encode(to writer: inout ByteWriter) {
        writer.uint32(milliseconds)
        switch fault {
        case .link(let link):
            writer.uint8(1)
            link.encode(to: &writer)
        case .clientsCut: writer.uint8(2)
        case .disk(let disk):
            writer.uint8(3)
            disk.encode(to: &writer)
        case .clock(let clock):
            writer.uint8(4)
            clock.encode(to: &writer)
        }
    }

    init(from reader: inout ByteReader) throws(DecodingError) {
        milliseconds = try reader.uint32()
        let kind = try reader.uint8()
        switch kind {
        case 1: fault = .link(try LinkDisorder(from: &reader))
        case 2: fault = .clientsCut
        case 3: fault = .disk(try DiskDisorder(from: &reader))
        case 4: fault = .clock(try ClockDisorder(from: &reader))
        default: throw .unknownKind(field: "fault", value: UInt64(kind))
        }
    }
}

extension LinkDisorder {
    /// Layout: peer 4 · delay 4 · jitter 4 · loss 2 · bytes a second 8 · cut 1.
    fileprivate func encode(to writer: inout ByteWriter) {
        writer.identifier(peer)
        writer.uint32(delayMilliseconds)
        writer.uint32(jitterMilliseconds)
        writer.uint16(lossPerMille)
        writer.uint64(bytesPerSecond)
        writer.flag(isCut)
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        peer = try reader.identifier(NodeID.self)
        delayMilliseconds = try reader.milliseconds("delay", atMost: LinkDisorder.millisecondsMax)
        jitterMilliseconds = try reader.milliseconds("jitter", atMost: LinkDisorder.millisecondsMax)
        lossPerMille = try reader.uint16()
        guard lossPerMille <= 1_000 else { throw .malformed("a loss of \(lossPerMille) in 1000") }
        bytesPerSecond = try reader.uint64()
        isCut = try reader.flag("cut")
    }
}

extension DiskDisorder {
    /// Layout: kind 1 (stall 1, hang 2, fail 3, fill 4) · milliseconds 4, of a stall · log only 1.
    fileprivate func encode(to writer: inout ByteWriter) {
        switch kind {
        case .stall(let milliseconds):
            writer.uint8(1)
            writer.uint32(milliseconds)
        case .hang: writer.uint8(2)
        case .fail: writer.uint8(3)
        case .fill: writer.uint8(4)
        }
        writer.flag(isLogOnly)
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        let byte = try reader.uint8()
        switch byte {
        case 1:
            let bound = DiskDisorder.stallMillisecondsMax
            kind = .stall(milliseconds: try reader.milliseconds("stall", atMost: bound))
        case 2: kind = .hang
        case 3: kind = .fail
        case 4: kind = .fill
        default: throw .unknownKind(field: "disk fault", value: UInt64(byte))
        }
        isLogOnly = try reader.flag("log only")
    }
}

extension ClockDisorder {
    /// Layout: shift 8 · drift 4, both signed.
    fileprivate func encode(to writer: inout ByteWriter) {
        writer.uint64(UInt64(bitPattern: shiftMilliseconds))
        writer.uint32(UInt32(bitPattern: driftPartsPerMillion))
    }

    fileprivate init(from reader: inout ByteReader) throws(DecodingError) {
        shiftMilliseconds = Int64(bitPattern: try reader.uint64())
        driftPartsPerMillion = Int32(bitPattern: try reader.uint32())
        let shiftMax = ClockDisorder.shiftMillisecondsMax
        let driftMax = ClockDisorder.driftPartsPerMillionMax
        guard (-shiftMax...shiftMax).contains(shiftMilliseconds),
            (-driftMax...driftMax).contains(driftPartsPerMillion)
        else { throw .malformed("a clock that is wrong by more than can be") }
    }
}

extension ByteReader {
    fileprivate mutating func milliseconds(
        _ field: String, atMost bound: UInt32
    ) throws(DecodingError) -> UInt32 {
        let value = try uint32()
        guard value <= bound else {
            throw .tooLong(field: field, count: Int(value), bound: Int(bound))
        }
        return value
    }
}
