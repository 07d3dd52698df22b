// temporary
public enum LinkType {
    public static var null: UInt16 { 0 }
    public static var ethernet: UInt16 { 1 }
    public static var ppp: UInt16 { 9 }
    public static var pppHDLC: UInt16 { 50 }
    public static var raw: UInt16 { 101 }
    public static var loop: UInt16 { 108 }
    public static var linuxSLL: UInt16 { 113 }
    public static var ipv4: UInt16 { 228 }
    public static var ipv6: UInt16 { 229 }
    public static var linuxSLL2: UInt16 { 276 }
}
