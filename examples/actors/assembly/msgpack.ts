// MessagePack, as much of it as 0.x actors exchange: nil, bool, integers, str, bin, array, map. No floats, no extensions.

/** Writes values one after another; `array(n)` and `map(n)` announce what follows. */
export class Writer {
  private buffer: Uint8Array = new Uint8Array(128);
  private length: i32 = 0;

  /** What was written so far. */
  bytes(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }

  nil(): Writer {
    return this.byte(0xc0);
  }

  bool(value: bool): Writer {
    return this.byte(value ? 0xc3 : 0xc2);
  }

  /** An integer of any size, in its shortest form; positive numbers as unsigned, as hosts and providers do. */
  int(value: i64): Writer {
    if (value >= 0) return this.uint(<u64>value);
    if (value >= -32) return this.byte(<u8>value);
    if (value >= i8.MIN_VALUE) return this.byte(0xd0).number(<u64>value, 1);
    if (value >= i16.MIN_VALUE) return this.byte(0xd1).number(<u64>value, 2);
    if (value >= i32.MIN_VALUE) return this.byte(0xd2).number(<u64>value, 4);
    return this.byte(0xd3).number(<u64>value, 8);
  }

  uint(value: u64): Writer {
    if (value < 0x80) return this.byte(<u8>value);
    if (value <= u8.MAX_VALUE) return this.byte(0xcc).number(value, 1);
    if (value <= u16.MAX_VALUE) return this.byte(0xcd).number(value, 2);
    if (value <= u32.MAX_VALUE) return this.byte(0xce).number(value, 4);
    return this.byte(0xcf).number(value, 8);
  }

  str(value: string): Writer {
    const text = Uint8Array.wrap(String.UTF8.encode(value));
    if (text.length < 32) this.byte(<u8>(0xa0 | text.length));
    else if (text.length < 0x100) this.byte(0xd9).number(text.length, 1);
    else if (text.length < 0x10000) this.byte(0xda).number(text.length, 2);
    else this.byte(0xdb).number(text.length, 4);
    return this.raw(text);
  }

  bin(value: Uint8Array): Writer {
    if (value.length < 0x100) this.byte(0xc4).number(value.length, 1);
    else if (value.length < 0x10000) this.byte(0xc5).number(value.length, 2);
    else this.byte(0xc6).number(value.length, 4);
    return this.raw(value);
  }

  array(count: u32): Writer {
    return count < 16 ? this.byte(<u8>(0x90 | count)) : this.byte(0xdd).number(count, 4);
  }

  map(count: u32): Writer {
    return count < 16 ? this.byte(<u8>(0x80 | count)) : this.byte(0xdf).number(count, 4);
  }

  private byte(value: u8): Writer {
    this.reserve(1);
    this.buffer[this.length++] = value;
    return this;
  }

  private number(value: u64, size: i32): Writer {
    for (let shift = (size - 1) * 8; shift >= 0; shift -= 8) this.byte(<u8>(value >> shift));
    return this;
  }

  private raw(value: Uint8Array): Writer {
    this.reserve(value.length);
    this.buffer.set(value, this.length);
    this.length += value.length;
    return this;
  }

  private reserve(more: i32): void {
    if (this.length + more <= this.buffer.length) return;
    const larger = new Uint8Array(max(this.buffer.length * 2, this.length + more));
    larger.set(this.buffer);
    this.buffer = larger;
  }
}

/** Reads values one after another; throws on a value of another kind and at the end of the bytes. */
export class Reader {
  private position: i32 = 0;

  constructor(private bytes: Uint8Array) {}

  str(): string {
    const tag = this.byte();
    let length: u64;
    if ((tag & 0xe0) == 0xa0) length = tag & 0x1f;
    else if (tag >= 0xd9 && tag <= 0xdb) length = this.number(1 << (tag - 0xd9));
    else throw new Error("msgpack: a string was expected");
    const start = this.take(length);
    return String.UTF8.decodeUnsafe(this.bytes.dataStart + start, <usize>length);
  }

  /** A byte string; also taken: str and an array of small integers, which some senders use for bytes. */
  bin(): Uint8Array {
    const tag = this.byte();
    let length: u64;
    if (tag >= 0xc4 && tag <= 0xc6) length = this.number(1 << (tag - 0xc4));
    else if (tag >= 0xd9 && tag <= 0xdb) length = this.number(1 << (tag - 0xd9));
    else if ((tag & 0xe0) == 0xa0) length = tag & 0x1f;
    else return this.byteArray(tag);
    const start = this.take(length);
    return this.bytes.slice(start, start + <i32>length);
  }

  int(): i64 {
    const tag = this.byte();
    if (tag < 0x80) return tag;
    if (tag >= 0xe0) return <i8>tag;
    if (tag >= 0xcc && tag <= 0xcf) return <i64>this.number(1 << (tag - 0xcc));
    if (tag == 0xd0) return <i8>this.number(1);
    if (tag == 0xd1) return <i16>this.number(2);
    if (tag == 0xd2) return <i32>this.number(4);
    if (tag == 0xd3) return <i64>this.number(8);
    throw new Error("msgpack: an integer was expected");
  }

  u32(): u32 {
    const value = this.int();
    if (value < 0 || value > <i64>u32.MAX_VALUE) throw new Error("msgpack: an integer of 32 bits was expected");
    return <u32>value;
  }

  bool(): bool {
    const tag = this.byte();
    if (tag != 0xc2 && tag != 0xc3) throw new Error("msgpack: a bool was expected");
    return tag == 0xc3;
  }

  /** Steps over nil if it comes next, and says whether it did. */
  nil(): bool {
    if (this.position >= this.bytes.length || this.bytes[this.position] != 0xc0) return false;
    this.position++;
    return true;
  }

  /** The number of values that follow. */
  array(): u32 {
    return this.arrayCount(this.byte());
  }

  /** The number of pairs that follow. */
  map(): u32 {
    const tag = this.byte();
    if ((tag & 0xf0) == 0x80) return tag & 0x0f;
    if (tag == 0xde || tag == 0xdf) return <u32>this.number(tag == 0xde ? 2 : 4);
    throw new Error("msgpack: a map was expected");
  }

  /** Steps over one value of any kind. */
  skip(): void {
    for (let values: u64 = 1; values > 0; values--) {
      const tag = this.byte();
      if (tag < 0x80 || tag >= 0xe0 || tag == 0xc0 || tag == 0xc2 || tag == 0xc3) continue;
      if ((tag & 0xe0) == 0xa0) this.take(tag & 0x1f);
      else if ((tag & 0xf0) == 0x80) values += 2 * <u64>(tag & 0x0f);
      else if ((tag & 0xf0) == 0x90) values += tag & 0x0f;
      else if (tag >= 0xc4 && tag <= 0xc6) this.take(this.number(1 << (tag - 0xc4)));
      else if (tag >= 0xd9 && tag <= 0xdb) this.take(this.number(1 << (tag - 0xd9)));
      else if (tag == 0xca || tag == 0xcb) this.take(tag == 0xca ? 4 : 8);
      else if (tag >= 0xcc && tag <= 0xd3) this.take(1 << (tag & 3));
      else if (tag == 0xdc || tag == 0xdd) values += this.number(tag == 0xdc ? 2 : 4);
      else if (tag == 0xde || tag == 0xdf) values += 2 * this.number(tag == 0xde ? 2 : 4);
      else throw new Error("msgpack: an extension type");
    }
  }

  private byteArray(tag: u8): Uint8Array {
    const bytes = new Uint8Array(this.room(this.arrayCount(tag)));
    for (let index = 0; index < bytes.length; index++) bytes[index] = <u8>this.int();
    return bytes;
  }

  private arrayCount(tag: u8): u32 {
    if ((tag & 0xf0) == 0x90) return tag & 0x0f;
    if (tag == 0xdc || tag == 0xdd) return <u32>this.number(tag == 0xdc ? 2 : 4);
    throw new Error("msgpack: an array was expected");
  }

  private byte(): u8 {
    return this.bytes[this.take(1)];
  }

  private number(size: i32): u64 {
    let value: u64 = 0;
    for (let index = 0; index < size; index++) value = (value << 8) | this.byte();
    return value;
  }

  private take(count: u64): i32 {
    const start = this.position;
    this.position += this.room(count);
    return start;
  }

  private room(count: u64): i32 {
    if (count > <u64>(this.bytes.length - this.position)) throw new Error("msgpack: the value is cut off");
    return <i32>count;
  }
}
