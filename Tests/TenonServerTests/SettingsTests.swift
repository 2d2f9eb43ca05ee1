import TenonCore
import TenonLog
import TenonNode
import Testing

@testable import TenonServer

@Suite("Settings")
struct SettingsTests {
    private let complete = [
        "name": "n1", "data": "/nowhere", "listen": "127.0.0.1:7501",
        "cluster": "n1=127.0.0.1:7501,n2=[::1]:7502",
    ]

    private func problem(_ flags: [String: String], fileKeys: [String] = []) async -> SettingError?
    {
        do throws(SettingError) {
            _ = try await ServeSettings.load(flags: flags, file: nil, fileKeys: fileKeys)
            return nil
        } catch {
            return error
        }
    }

    @Test func `flags alone are enough, with defaults for the rest`() async throws {
        let settings = try await ServeSettings.load(flags: complete, file: nil, fileKeys: [])
        #expect(settings.name == "n1")
        #expect(settings.tablets == 1)
        #expect(settings.retentionMilliseconds == 60_000)
        #expect(!settings.takesFaults)
        #expect(settings.members.map(\.address.description) == ["127.0.0.1:7501", "[::1]:7502"])
    }

    @Test(arguments: ["name", "data", "listen", "cluster"])
    func `a missing setting is named`(_ key: String) async {
        let error = await problem(complete.filter { $0.key != key })
        #expect(error?.setting == key)
    }

    @Test func `what does not convert is an error, never a default`() async {
        for (key, value) in [
            ("tablets", "many"), ("retention", "60"), ("retention", "-5s"), ("segments", "3.5"),
            ("insecure", "perhaps"), ("locality", "shanghai"), ("segment-bytes", "1000"),
            ("segment-bytes", "1048576"), ("segment-bytes", "2147483648"), ("segments", "4"),
            ("segments", "1025"), ("memtable-bytes", "0"), ("cache-bytes", "-1"),
            ("retained-log-bytes", "-1"), ("listen", "7501"), ("cluster", "n1"),
        ] {
            let error = await problem(complete.merging([key: value]) { $1 })
            #expect(error?.setting == key, "\(key)=\(value): \(error.map { "\($0)" } ?? "taken")")
        }
    }

    @Test func `a small log takes every write and keeps little of it for followers`() async throws {
        let least = LogConfiguration.smallestServingSegmentBytes
        let small = complete.merging(["segment-bytes": "\(least)", "segments": "5"]) { $1 }
        let settings = try await ServeSettings.load(flags: small, file: nil, fileKeys: [])
        try settings.logConfiguration.validate()
        #expect(settings.logConfiguration.batchBytesMax > Limits.commandBytesMax)
        #expect(settings.nodeConfiguration.retainedLogBytes == least / 4)
        let usual = try await ServeSettings.load(flags: complete, file: nil, fileKeys: [])
        #expect(usual.nodeConfiguration.retainedLogBytes == 32 << 20)
    }

    @Test func `a node takes orders to be faulty only when it is told to`() async throws {
        let told = complete.merging(["enable-fault-injection": "true"]) { $1 }
        #expect(try await ServeSettings.load(flags: told, file: nil, fileKeys: []).takesFaults)
    }

    @Test func `unknown flags and unknown keys of a file are errors`() async {
        #expect(await problem(complete.merging(["colour": "red"]) { $1 })?.setting == "colour")
        #expect(await problem(complete, fileKeys: ["tablets", "colour"])?.setting == "colour")
    }

    @Test func `other addresses than loopback need a word`() async throws {
        let open = complete.merging(["listen": "0.0.0.0:7501"]) { $1 }
        #expect(await problem(open)?.setting == "listen")
        #expect(await problem(open.merging(["insecure": "true"]) { $1 }) == nil)
        let six = complete.merging(["listen": "[::]:7501"]) { $1 }
        #expect(await problem(six)?.setting == "listen")
    }

    @Test func `lengths of time have units`() throws {
        #expect(try ServeSettings.milliseconds("500ms", setting: "x") == 500)
        #expect(try ServeSettings.milliseconds("60s", setting: "x") == 60_000)
        #expect(try ServeSettings.milliseconds("5m", setting: "x") == 300_000)
        #expect(try ServeSettings.milliseconds("2h", setting: "x") == 7_200_000)
        for text in ["", "s", "0s", "1d", "99999999999999999h"] {
            #expect(throws: SettingError.self) {
                try ServeSettings.milliseconds(text, setting: "x")
            }
        }
    }

    @Test func `addresses are read in every form, and others refused`() throws {
        let six = try NetworkAddress(parsing: "[fe80::1%eth0]:80", setting: "x")
        #expect(six.host == "fe80::1%eth0" && six.port == 80)
        #expect("\(try NetworkAddress(parsing: "[::1]:7501", setting: "x"))" == "[::1]:7501")
        for text in ["", ":1", "host", "host:", "host:0", "host:65536", "::1:7501", "a:b:1"] {
            #expect(throws: SettingError.self) {
                try NetworkAddress(parsing: text, setting: "x")
            }
        }
    }
}
