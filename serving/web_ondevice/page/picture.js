// From the bytes of a picture to its pixels: red, green, blue, no alpha, EXIF orientation ignored,
// no colour management, the first frame of an animation: what the encoder was trained on.
//
// PNG is decoded here and not by the browser, whose canvas multiplies colours by alpha. The other
// formats are the browser's, whose JPEG decoder uses the accurate inverse transform, as training does.

import { convertIndexedToRgb, decode } from "fast-png";

const MOST_BYTES = 64 * 1024 * 1024;
const MOST_PIXELS = 50_000_000;
const STRIP = 256; // rows read from a canvas at once: phones limit a canvas's area

/** Why a picture cannot be used, in words for the person who chose it. */
export class PictureError extends Error {}

/**
 * @param {Blob} blob the file
 * @returns {Promise<{data: Uint8Array, width: number, height: number}>} red, green, blue
 * @throws {PictureError} it cannot be used
 */
export async function pixelsOf(blob) {
  if (!blob.size) throw new PictureError("the file is empty");
  if (blob.size > MOST_BYTES) throw new PictureError("the file is larger than 64 MB");
  const head = new DataView(await blob.slice(0, 29).arrayBuffer());
  const isPng = head.byteLength === 29 && head.getUint32(0) === 0x89504e47;
  if (isPng) {
    checkPixels(head.getUint32(16), head.getUint32(20));
    const interlaced = head.getUint8(28) === 1, deep = head.getUint8(24) >= 8;
    // fast-png does not unpack interlaced rows of less than a byte a pixel.
    if (deep || !interlaced) return fromPng(new Uint8Array(await blob.arrayBuffer()));
  }
  const bytes = new Uint8Array(await blob.arrayBuffer());
  hideExif(bytes);
  return fromBrowser(new Blob([bytes]));
}

// Browsers turn a picture as its EXIF data says, and there is no way to ask them not to. So the
// marker by which they know EXIF data, in a JPEG or a WebP, is overwritten.
function hideExif(bytes) {
  const view = new DataView(bytes.buffer), text = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (text(0) === "RIFF" && text(8) === "WEBP") {
    for (let at = 12; at + 8 <= bytes.length; ) {
      if (text(at) === "EXIF") bytes.fill(0x78, at, at + 4);
      const length = view.getUint32(at + 4, true);
      at += 8 + length + (length & 1);
    }
  } else if (bytes[0] === 0xff && bytes[1] === 0xd8) {
    // Segments of a marker and a length, up to the first scan.
    for (let at = 2; at + 8 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda; ) {
      if (bytes[at + 1] === 0xff) at++; // padding before a marker
      else {
        if (bytes[at + 1] === 0xe1 && text(at + 4) === "Exif") bytes.fill(0x78, at + 4, at + 8);
        at += 2 + view.getUint16(at + 2);
      }
    }
  }
}

function checkPixels(width, height) {
  if (width * height > MOST_PIXELS) {
    throw new PictureError(`the picture has too many pixels: ${width} x ${height}`);
  }
}

function fromPng(bytes) {
  let png, values;
  try {
    png = decode(bytes, { checkCrc: true });
    values = png.palette ? convertIndexedToRgb(png) : png.depth < 8 ? unpacked(png) : png.data;
  } catch (error) {
    throw new PictureError(`the PNG is damaged (${error.message})`);
  }
  const { width, height } = png;
  const channels = values.length / (width * height), colours = channels < 3 ? 1 : 3;
  const shift = png.depth === 16 ? 8 : 0; // the high byte
  const data = new Uint8Array(3 * width * height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let colour = 0; colour < 3; colour++) {
      data[3 * pixel + colour] = values[channels * pixel + (colours === 3 ? colour : 0)] >> shift;
    }
  }
  return { data, width, height };
}

// Grey of 1, 2 or 4 bits, stretched to a byte.
function unpacked({ data, width, height, depth }) {
  const rowBytes = Math.ceil((width * depth) / 8), most = (1 << depth) - 1;
  const values = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const byte = data[y * rowBytes + ((x * depth) >> 3)];
      values[y * width + x] = ((byte >> (8 - depth - ((x * depth) & 7))) & most) * (255 / most);
    }
  }
  return values;
}

async function fromBrowser(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      colorSpaceConversion: "none", premultiplyAlpha: "none",
    });
  } catch {
    throw new PictureError("the file is not a picture that this browser can decode");
  }
  const { width, height } = bitmap;
  try {
    checkPixels(width, height);
    const canvas = new OffscreenCanvas(width, Math.min(height, STRIP));
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const data = new Uint8Array(3 * width * height);
    for (let top = 0, to = 0; top < height; top += STRIP) {
      context.clearRect(0, 0, width, STRIP);
      context.drawImage(bitmap, 0, -top);
      const strip = context.getImageData(0, 0, width, Math.min(STRIP, height - top)).data;
      for (let from = 0; from < strip.length; from += 4, to += 3) {
        data[to] = strip[from];
        data[to + 1] = strip[from + 1];
        data[to + 2] = strip[from + 2];
      }
    }
    return { data, width, height };
  } finally {
    bitmap.close();
  }
}
