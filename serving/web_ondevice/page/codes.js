// Packed codes: num_bits / 8 bytes each, the first bit in the most significant place of the first.

function bitsSet(word) {
  word -= (word >>> 1) & 0x55555555;
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
  return Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The codes of a collection, searched exactly. */
export class Codes {
  /**
   * @param {Uint8Array} packed codes, one after the other
   * @param {number} numBits code length, a multiple of 8
   */
  constructor(packed, numBits) {
    this.numBits = numBits;
    this.bytes = numBits / 8;
    this.length = packed.length / this.bytes;
    if (!Number.isInteger(this.length)) throw new Error("The file of codes is cut off");
    this.packed = packed;
    this.words = this.#asWords(packed);
  }

  /** The packed code at a position. */
  at(position) {
    return this.packed.subarray(position * this.bytes, (position + 1) * this.bytes);
  }

  /**
   * The k nearest codes: by Hamming distance, equal ones by position.
   *
   * @param {Uint8Array} query a packed code
   * @param {number} k
   * @returns {{position: number, distance: number}[]}
   */
  nearest(query, k) {
    if (query.length !== this.bytes) throw new Error(`A code has ${this.bytes} bytes`);
    const words = this.#asWords(query), width = words.length;
    const distances = new Uint16Array(this.length), counts = new Uint32Array(this.numBits + 1);
    for (let position = 0, at = 0; position < this.length; position++) {
      let distance = 0;
      for (let word = 0; word < width; word++) distance += bitsSet(this.words[at++] ^ words[word]);
      distances[position] = distance;
      counts[distance]++;
    }
    // The distance within which the k nearest lie; a place for each, distance by distance.
    const places = new Uint32Array(this.numBits + 1);
    let found = 0, last = 0;
    for (; last <= this.numBits && found < k; last++) {
      places[last] = found;
      found += counts[last];
    }
    const hits = new Array(found);
    for (let position = 0; position < this.length; position++) {
      const distance = distances[position];
      if (distance < last) hits[places[distance]++] = { position, distance };
    }
    return hits.slice(0, k);
  }

  // Whole 32-bit words, filled up with zeros.
  #asWords(packed) {
    const padded = 4 * Math.ceil(this.bytes / 4), rows = packed.length / this.bytes;
    const all = new Uint8Array(rows * padded);
    for (let row = 0; row < rows; row++) {
      all.set(packed.subarray(row * this.bytes, (row + 1) * this.bytes), row * padded);
    }
    return new Uint32Array(all.buffer);
  }
}
