import TenonCore
import TenonWire
import Testing

@testable import TenonServer

@Suite("A faulty link")
struct LinkShaperTests {
    private func shaper(_ change: (inout LinkDisorder) -> Void) -> LinkShaper {
        var fault = LinkDisorder(peer: NodeID(2))
        change(&fault)
        var shaper = LinkShaper(seed: 1)
        shaper.change(to: fault, now: .zero)
        return shaper
    }

    private func at(_ milliseconds: Int) -> Instant { Instant.zero + .milliseconds(milliseconds) }

    @Test func `without a fault everything passes at once`() {
        var link = LinkShaper(seed: 1)
        #expect(link.accept([1, 2], now: at(5)) == .pass)
        #expect(link.nextDue == nil)
    }

    @Test func `a cut loses everything and lets no connection come about`() {
        var link = shaper { $0.isCut = true }
        #expect(link.isCut)
        #expect(link.accept([1], now: at(1)) == .drop)
        link.change(to: nil, now: at(2))
        #expect(!link.isCut)
        #expect(link.accept([2], now: at(2)) == .pass)
    }

    @Test func `a delay holds each piece for as long, in order`() {
        var link = shaper { $0.delayMilliseconds = 200 }
        #expect(link.accept([1], now: at(0)) == .wait(until: at(200)))
        #expect(link.accept([2], now: at(50)) == .wait(until: at(250)))
        #expect(link.waitingBytes == 2)
        #expect(link.takeDue(at: at(199)).isEmpty)
        #expect(link.takeDue(at: at(200)) == [[1]])
        #expect(link.nextDue == at(250))
        #expect(link.takeDue(at: at(1_000)) == [[2]])
        #expect(link.nextDue == nil)
        #expect(link.waitingBytes == 0)
    }

    @Test func `jitter never lets a piece overtake another`() {
        var link = shaper { $0.jitterMilliseconds = 500 }
        var latest = Instant.zero
        for number in 0..<200 {
            switch link.accept([UInt8(number)], now: at(number)) {
            case .wait(let due):
                #expect(due >= latest)
                #expect(due >= at(number))
                latest = due
            case .pass: #expect(link.nextDue == nil)
            case .drop: Issue.record("piece \(number) is lost")
            }
        }
        let order = link.takeDue(at: .distantFuture).flatMap { $0 }
        #expect(order == order.sorted())
        #expect(latest > at(400))
    }

    @Test func `of a thousand pieces about so many are lost as was said`() {
        var link = shaper { $0.lossPerMille = 50 }
        let lost = (0..<2_000).count { link.accept([0], now: at($0)) == .drop }
        #expect((60...140).contains(lost), "\(lost) of 2000")
        link = shaper { $0.lossPerMille = 1_000 }
        #expect((0..<100).allSatisfy { link.accept([0], now: at($0)) == .drop })
    }

    @Test func `a narrow link passes so many bytes a second and no more`() {
        var link = shaper { $0.bytesPerSecond = 1_000 }
        let piece = [UInt8](repeating: 0, count: 500)
        #expect(link.accept(piece, now: at(0)) == .wait(until: at(500)))
        #expect(link.accept(piece, now: at(0)) == .wait(until: at(1_000)))
        #expect(link.accept(piece, now: at(3_000)) == .wait(until: at(3_500)))
    }

    @Test func `a link that holds too much loses the rest`() {
        var link = shaper { $0.delayMilliseconds = 60_000 }
        let piece = [UInt8](repeating: 0, count: LinkShaper.bytesMax / 2)
        #expect(link.accept(piece, now: at(0)) != .drop)
        #expect(link.accept(piece, now: at(0)) != .drop)
        #expect(link.accept([1], now: at(0)) == .drop)
        link.reset()
        #expect(link.waitingBytes == 0)
        #expect(link.accept([1], now: at(0)) == .wait(until: at(60_000)))
    }

    @Test func `a healed link delivers what it holds at once, and before anything new`() {
        var link = shaper { $0.bytesPerSecond = 1 }
        #expect(link.accept([1], now: at(0)) == .wait(until: at(1_000)))
        #expect(link.accept([2], now: at(0)) == .wait(until: at(2_000)))
        link.change(to: nil, now: at(10))
        #expect(link.nextDue == at(10))
        #expect(link.accept([3], now: at(10)) == .wait(until: at(10)))
        #expect(link.takeDue(at: at(10)) == [[1], [2], [3]])
        #expect(link.accept([4], now: at(11)) == .pass)
    }
}
