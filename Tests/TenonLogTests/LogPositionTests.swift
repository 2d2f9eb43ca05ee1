import TenonCore
import TenonLog
import TenonSimulator
import Testing

/// Rule I2 rests on it: peers refuse a node whose log position is below one that they saw.
@Suite("The log's position")
struct LogPositionTests {
    @Test(arguments: UInt64(1)...40)
    func `never goes back over process crashes`(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let disk = try makeDisk(seed: seed)
        var log = try openLog(disk).log
        var next: UInt64 = 1
        var position: UInt64 = 0
        for _ in 0..<60 {
            switch random.below(6) {
            case 0: try log.sealIfNeeded()
            case 1: _ = try log.prepareAhead()
            case 2:
                try log.append([hardState(2, term: next)])
            case 3 where next > 3:
                try log.append([
                    .trim(
                        tablet: TabletID(2), replica: ReplicaID(1),
                        through: LogIndex(next - 2), term: Term(1))
                ])
            case 4:
                position = max(position, log.status.lastBatch)
                disk.crashProcess()
                log = try openLog(disk).log
                #expect(log.status.lastBatch >= position)
            default:
                let bytes = 10 + Int(random.below(3_000))
                try log.append([entries(2, next...next, bytes: bytes)])
                next += 1
            }
            position = max(position, log.status.lastBatch)
        }
    }
}
