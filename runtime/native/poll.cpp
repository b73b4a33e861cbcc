// What a step has to know of thousands of tensors, read without a call of Python for each.
//
// In: lists of tensors as Python objects, and what is expected of them. Out: addresses, and the first tensor that is not
// as expected. Tensors are read through the function that their type offers to other libraries (DLPack's exchange
// interface), so this needs no header of torch; Python's functions are those of its stable interface, declared here, so
// this needs no header of Python either. Called with the interpreter's lock held. Nothing here writes to a tensor, but
// for `write_numbers`.

#include <cstddef>
#include <cstdint>

extern "C" {
struct Object;
Object* PyList_GetItem(Object*, intptr_t);                  // borrowed
intptr_t PyList_Size(Object*);
Object* PyList_New(intptr_t);                               // owned
int PyList_SetItem(Object*, intptr_t, Object*);             // takes the item
Object* PyObject_GetAttr(Object*, Object*);                 // owned
Object* PyDict_GetItemWithError(Object*, Object*);          // borrowed
Object* PyObject_Type(Object*);                             // owned
Object* PyObject_Vectorcall(Object*, Object* const*, size_t, Object*);  // owned
int PyObject_IsTrue(Object*);
void PyErr_Clear();
void Py_DecRef(Object*);
}

namespace {

struct DLTensor {
  void* data;
  int32_t device_type, device_index;
  int32_t dimensions;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t* shape;
  int64_t* strides;
  uint64_t offset;
};
typedef int (*ReadTensor)(void* object, DLTensor* out);

// What may be found; the order is that of `CAUSES` in native.py.
enum Finding : int64_t { kSame, kType, kDtype, kShape, kStrides, kDevice, kLazy, kShared };

bool is_type(Object* object, Object* const* types, int64_t count) {
  Object* type = PyObject_Type(object);
  bool found = false;
  for (int64_t i = 0; i < count; ++i) found = found || type == types[i];
  Py_DecRef(type);
  return found;
}

// Whether a method without arguments says yes; an error counts as yes.
bool says_yes(Object* method, Object* object) {
  Object* answer = PyObject_Vectorcall(method, &object, 1, nullptr);
  if (!answer) {
    PyErr_Clear();
    return true;
  }
  bool yes = PyObject_IsTrue(answer) != 0;
  Py_DecRef(answer);
  return yes;
}

int64_t dtype_of(const DLTensor& tensor) { return tensor.code | int64_t(tensor.bits) << 8 | int64_t(tensor.lanes) << 16; }

int64_t device_of(const DLTensor& tensor) { return tensor.device_type | int64_t(tensor.device_index) << 32; }

}  // namespace

extern "C" {

struct Expected {
  ReadTensor read;            // the exchange interface's function
  Object* const* types;       // exact types that are taken
  int64_t type_count;         // 0: they are known, since the objects are
  Object* const* lazy;        // methods that must say no: is_neg, and is_conj where numbers are complex
  int64_t lazy_count;
  int64_t lazy_at_rest;       // whether they are asked of tensors that did not move, too
  int64_t dtype;              // code | bits << 8 | lanes << 16
  int64_t device;             // type | index << 32
  const int64_t* layouts;     // per tensor: dimensions, shape, strides
  int64_t shape_only;         // whether strides may be anything
  const int64_t* starts;      // stretches of memory, in order, that no moved tensor may reach into
  const int64_t* ends;
  int64_t stretches;
};

// Looks at every tensor of a list. Where all are as expected: writes their addresses, counts those that changed in
// `moved` and returns kSame. Else returns what differs; `where` is the tensor's position then. `addresses` may be partly
// new then, so whoever kept them must take them anew.
int64_t thetac_poll(Object* tensors, const Expected* expected, int64_t* addresses, int64_t address_step, int64_t* moved,
                    int64_t* where) {
  const int64_t* layout = expected->layouts;
  const intptr_t count = PyList_Size(tensors);
  *moved = 0;
  for (intptr_t i = 0; i < count; ++i) {
    *where = i;
    Object* object = PyList_GetItem(tensors, i);
    if (expected->type_count && !is_type(object, expected->types, expected->type_count)) return kType;
    DLTensor tensor;
    if (expected->read(object, &tensor) != 0) {
      PyErr_Clear();
      return kType;
    }
    if (dtype_of(tensor) != expected->dtype) return kDtype;
    const int64_t dimensions = *layout++;
    if (tensor.dimensions != dimensions) return kShape;
    const int64_t* shape = layout;
    const int64_t* strides = layout + dimensions;
    layout += 2 * dimensions;
    int64_t elements = 1, reach = 0;
    for (int64_t d = 0; d < dimensions; ++d) {
      if (tensor.shape[d] != shape[d]) return kShape;
      if (!expected->shape_only && shape[d] > 1 && tensor.strides[d] != strides[d]) return kStrides;
      elements *= shape[d];
      reach += (shape[d] - 1) * tensor.strides[d];
    }
    if (device_of(tensor) != expected->device) return kDevice;
    const int64_t address = reinterpret_cast<int64_t>(tensor.data) + int64_t(tensor.offset);
    if (elements && !address) return kType;
    const bool stayed = address == addresses[i * address_step];
    if (!stayed || expected->lazy_at_rest)
      for (int64_t m = 0; m < expected->lazy_count; ++m)
        if (says_yes(expected->lazy[m], object)) return kLazy;
    if (stayed) continue;
    ++*moved;
    addresses[i * address_step] = address;
    if (elements && expected->stretches) {
      // The first stretch that ends behind the tensor's start must not begin before the tensor's end.
      const int64_t end = address + (reach + 1) * (tensor.bits / 8) * tensor.lanes;
      int64_t low = 0, high = expected->stretches;
      while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (expected->ends[middle] > address) high = middle; else low = middle + 1;
      }
      if (low < expected->stretches && expected->starts[low] < end) return kShared;
    }
  }
  return kSame;
}

// The first place where two lists hold other objects; -1 if they hold the same.
int64_t thetac_first_different(Object* list, Object* known) {
  const intptr_t count = PyList_Size(known);
  if (PyList_Size(list) != count) return 0;
  for (intptr_t i = 0; i < count; ++i)
    if (PyList_GetItem(list, i) != PyList_GetItem(known, i)) return i;
  return -1;
}

// A new list of an attribute of each object; null with Python's exception set.
Object* thetac_attributes(Object* list, Object* name) {
  const intptr_t count = PyList_Size(list);
  Object* found = PyList_New(count);
  for (intptr_t i = 0; found && i < count; ++i) {
    Object* value = PyObject_GetAttr(PyList_GetItem(list, i), name);
    if (!value) {
      Py_DecRef(found);
      return nullptr;
    }
    PyList_SetItem(found, i, value);
  }
  return found;
}

// The first dictionary of a list that does not hold the known object under a name; -1 if all do.
int64_t thetac_first_replaced(Object* entries, Object* name, Object* known) {
  const intptr_t count = PyList_Size(known);
  for (intptr_t i = 0; i < count; ++i) {
    Object* found = PyDict_GetItemWithError(PyList_GetItem(entries, i), name);
    if (!found) PyErr_Clear();
    if (found != PyList_GetItem(known, i)) return i;
  }
  return -1;
}

// What a tensor is, in the terms of `Expected`: its dtype, then its device. Not 0 if it cannot be read.
int64_t thetac_describe(Object* object, ReadTensor read, int64_t* out) {
  DLTensor tensor;
  if (read(object, &tensor) != 0) {
    PyErr_Clear();
    return 1;
  }
  out[0] = dtype_of(tensor);
  out[1] = device_of(tensor);
  return 0;
}

// Numbers of the host, one at each address: float32, or float64 if wide. Whether all are equal; NaN equals nothing.
int64_t thetac_read_numbers(const int64_t* addresses, int64_t count, int64_t wide, double* out) {
  bool equal = true;
  for (int64_t i = 0; i < count; ++i) {
    out[i] = wide ? *reinterpret_cast<const double*>(addresses[i]) : *reinterpret_cast<const float*>(addresses[i]);
    equal = equal && out[i] == out[0];
  }
  return equal;
}

// Writes to each address the number of its row.
void thetac_write_numbers(const int64_t* addresses, int64_t count, int64_t wide, const int64_t* rows,
                          const double* numbers) {
  for (int64_t i = 0; i < count; ++i) {
    const double number = numbers[rows[i]];
    if (wide)
      *reinterpret_cast<double*>(addresses[i]) = number;
    else
      *reinterpret_cast<float*>(addresses[i]) = static_cast<float>(number);
  }
}

}  // extern "C"
