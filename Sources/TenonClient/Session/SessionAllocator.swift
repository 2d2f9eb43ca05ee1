internal import TenonCore

/// Numbers a client's writes (Rule S3) and knows the low-water mark: the sequence below which
/// every write is closed, so that tablets may forget what became of it.
///
/// A sequence is closed when its caller has its outcome or has given up. A write that was given
/// up is never sent again, so the mark may pass it; if a copy of it is still on its way, the mark
/// makes that a late duplicate, which is dropped.
///
/// - Invariant: the mark never passes an open sequence.
struct SessionAllocator {
    /// Open and closed sequences between the mark and the newest. A write that waits long while
    /// others pass holds the mark back; at this bound new writes are refused as `overloaded`.
    static let windowMax = 1 << 20

    private let client: ClientID
    /// One flag a sequence from `head` on: whether it is closed. What is before `head` is junk.
    private var isClosed: [Bool] = []
    private var head = 0
    /// The lowest sequence that is not closed, or the next one to be given.
    private(set) var lowWaterMark = SequenceNumber(1)

    init(client: ClientID) { self.client = client }

    /// How many sequences lie between the mark and the next.
    var windowCount: Int { isClosed.count - head }

    /// Opens the next sequence; nil when the window is full.
    mutating func open(firstIssue: Timestamp) -> Session? {
        guard windowCount < SessionAllocator.windowMax else { return nil }
        let sequence = SequenceNumber(lowWaterMark.rawValue + UInt64(windowCount))
        isClosed.append(false)
        return Session(
            client: client, sequence: sequence, firstIssue: firstIssue, lowWaterMark: lowWaterMark)
    }

    /// Closes an open sequence. - Complexity: O(1) amortised.
    mutating func close(_ sequence: SequenceNumber) {
        precondition(
            sequence >= lowWaterMark && sequence.rawValue - lowWaterMark.rawValue < windowCount,
            "closing \(sequence), the window is \(lowWaterMark) and \(windowCount) more")
        let place = head + Int(sequence.rawValue - lowWaterMark.rawValue)
        precondition(!isClosed[place], "sequence \(sequence) was closed before")
        isClosed[place] = true
        while head < isClosed.count, isClosed[head] {
            head += 1
            lowWaterMark = lowWaterMark.next
        }
        dropJunk()
    }

    private mutating func dropJunk() {
        if head == isClosed.count {
            isClosed.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 4_096, head * 2 > isClosed.count {
            isClosed.removeSubrange(0..<head)
            head = 0
        }
    }
}
