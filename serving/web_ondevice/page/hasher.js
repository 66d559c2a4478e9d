// The exported image encoder in the browser: pixels to a packed code, on the CPU through LiteRT.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { pixelsOf } from "./picture.js";
import { resize } from "./resize.js";

/** Pictures to packed codes. */
export class Hasher {
  #model;
  #size;

  constructor(model, size) {
    this.#model = model;
    this.#size = size;
  }

  /**
   * Load the runtime and the model, and run it once: the first run takes longer than the others.
   *
   * @param {Promise<Uint8Array>} content the .tflite file
   * @param {number} size height and width of the model's input in pixels
   */
  static async load(content, size) {
    const runtime = new URL("vendor/@litertjs/core/wasm/", document.baseURI);
    const [bytes] = await Promise.all([content, loadLiteRt(runtime.href)]);
    const hasher = new Hasher(await loadAndCompile(bytes, { accelerator: "wasm" }), size);
    await hasher.#run(new Uint8Array(size * size * 3));
    return hasher;
  }

  /**
   * @param {Blob} blob an encoded picture
   * @returns {Promise<{packed: Uint8Array, milliseconds: number}>} the code, and the time of the
   *   encoder alone, without decoding and resizing
   * @throws {PictureError} the picture cannot be used
   */
  async hash(blob) {
    const pixels = resize(await pixelsOf(blob), this.#size);
    const start = performance.now();
    const packed = await this.#run(pixels);
    return { packed, milliseconds: performance.now() - start };
  }

  async #run(values) {
    const pixels = new Tensor(values, [1, this.#size, this.#size, 3]);
    const outputs = await this.#model.run({ pixels });
    const packed = (await outputs.packed.data()).slice();
    // The runtime's memory is not collected: what is not deleted stays.
    for (const tensor of [pixels, ...Object.values(outputs)]) tensor.delete();
    return packed;
  }
}
